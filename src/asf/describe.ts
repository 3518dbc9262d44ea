import type { AsfHeader } from './header.js';
import { flattenObjects, type StreamFormat, type StreamKind, type StreamProperties } from './stream.js';

/** A stream as a person or a program wants it described. @public */
export interface StreamDescription {
  readonly number: number;
  readonly type: StreamKind;
  /** The FourCC of video, the name of the audio format, or the type of the stream. */
  readonly codec: string;
  /** Bits per second; 0 if unknown. */
  readonly bitrate: number;
  readonly encrypted: boolean;
  readonly hidden: boolean;
  /** RFC 1766 tag. */
  readonly language?: string;
  /** Pixels. */
  readonly width?: number;
  readonly height?: number;
  readonly framesPerSecond?: number;
  readonly channels?: number;
  readonly samplesPerSecond?: number;
}

const audioCodecs: ReadonlyMap<number, string> = new Map([
  [0x0001, 'PCM'],
  [0x0002, 'ADPCM'],
  [0x000a, 'WMA Voice'],
  [0x0050, 'MPEG-1 audio'],
  [0x0055, 'MP3'],
  [0x00ff, 'AAC'],
  [0x0160, 'WMA 1'],
  [0x0161, 'WMA 2'],
  [0x0162, 'WMA Pro'],
  [0x0163, 'WMA Lossless'],
  [0x1610, 'AAC'],
  [0x2000, 'AC-3'],
  [0x7a21, 'GSM-AMR'],
  [0x7a22, 'GSM-AMR'],
]);

/** Replaces characters that could harm a terminal or a log: a FourCC is four bytes from the network. */
function printable(fourCC: string): string {
  return fourCC.replace(/[^\x20-\x7e]/g, '?');
}

function formatDetails(format: StreamFormat | undefined): Partial<StreamDescription> {
  switch (format?.kind) {
    case 'audio': {
      const codec = audioCodecs.get(format.formatTag) ?? `0x${format.formatTag.toString(16).padStart(4, '0')}`;
      return { codec, channels: format.channels, samplesPerSecond: format.samplesPerSecond };
    }
    case 'video':
      return { codec: printable(format.fourCC), width: format.width, height: format.height };
    case 'image':
      return { codec: format.degradable ? 'Degradable JPEG' : 'JFIF', width: format.width, height: format.height };
    default:
      return {};
  }
}

function extendedDetails(stream: StreamProperties, languages: readonly string[]): Partial<StreamDescription> {
  const { extended } = stream;
  if (extended === undefined) return {};
  const language = languages[extended.languageIndex];
  const frame = stream.type === 'video' ? Number(extended.averageTimePerFrame) : 0;
  return {
    ...(language === undefined || language === '' ? {} : { language }),
    ...(frame > 0 ? { framesPerSecond: Math.round(1e9 / frame) / 100 } : {}),
  };
}

/** Describes the streams of a header, in the order of {@link AsfHeader.streams}. @public */
export function describeStreams(header: AsfHeader): StreamDescription[] {
  const languageList = flattenObjects(header.objects).find((object) => object.type === 'languageList');
  return header.streams.map((stream) => ({
    number: stream.number,
    type: stream.type,
    codec: stream.type,
    bitrate: header.streamBitrates.get(stream.number) ?? 0,
    encrypted: stream.encrypted,
    hidden: stream.hidden,
    ...extendedDetails(stream, languageList?.languages ?? []),
    ...formatDetails(stream.format),
  }));
}
