import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsfFileBuilder } from '../../src/asf/file.js';
import { GUID } from '../../src/asf/guid.js';
import { type AsfHeader, buildHeader, type HeaderObject } from '../../src/asf/header.js';
import { ruleOf } from '../../src/auth/access.js';
import { OnDemandFiles } from '../../src/media/on-demand/files.js';
import type { Content as AnyContent, ContentRequest, Found, Missing, Redirect } from '../../src/playback/content.js';
import { ContentRoot } from '../../src/server/content/content.js';
import { Programs } from '../../src/server/content/programs.js';
import { PublishingPoints } from '../../src/server/points/points.js';
import { AUDIO, type TestHeaderOptions, testHeader, testPacket, VIDEO } from '../support/stream.js';

export interface MadeMedia extends TestHeaderOptions {
  /** Default 4. */
  readonly seconds?: number;
  /** With an index after the data; default: true. */
  readonly index?: boolean;
  /** Video is stream 2 and audio stream 1. */
  readonly swapped?: boolean;
  /** A second video, stream 3, that excludes the first one by this object. */
  readonly twin?: Exclusive['type'];
}

type Exclusive = Extract<
  HeaderObject,
  { type: 'bitrateMutualExclusion' | 'advancedMutualExclusion' | 'groupMutualExclusion' }
>;

/** The number of the second video. */
export const TWIN = 3;

/**
 * In a generated file: packets per second, alternating video, audio, video. Video has a picture every 100 ms and a key
 * frame every second, so that those begin in packets 0, 15, 30 …
 */
export const PACKETS_A_SECOND = 15;

/** Builds the bytes of a file whose media begins at 0. */
export function madeFile({ seconds = 4, index = true, swapped = false, twin, ...header }: MadeMedia = {}): Buffer {
  const made = twin ? withTwin(testHeader(header), twin) : testHeader(header);
  const builder = new AsfFileBuilder(swapped ? withSwappedStreams(made) : made);
  const [video, audio] = swapped ? [AUDIO, VIDEO] : [VIDEO, AUDIO];
  const packets: Buffer[] = [];
  for (let time = 0; time < seconds * 1000; time += 100) {
    const options = { number: time / 100, ...(header.packetSize ? { packetSize: header.packetSize } : {}) };
    if (header.video !== false)
      packets.push(
        builder.packet(testPacket(time, { ...options, stream: video, key: time % 1000 === 0, dataSize: 200 })),
      );
    if (twin)
      packets.push(
        builder.packet(testPacket(time, { ...options, stream: TWIN, key: time % 1000 === 0, dataSize: 200 })),
      );
    if (time % 200 === 0) packets.push(builder.packet(testPacket(time, { ...options, stream: audio, dataSize: 100 })));
  }
  const { header: final, trailer } = builder.finish();
  return Buffer.concat([final, ...packets, index ? trailer : Buffer.alloc(0)]);
}

function withSwappedStreams(header: AsfHeader): AsfHeader {
  const objects = header.objects.map((object) =>
    object.type === 'streamProperties' ? { ...object, flags: VIDEO + AUDIO - object.flags } : object,
  );
  return buildHeader(objects, header.dataObject);
}

/** Bitrate Mutual Exclusion is directly in the header, as in real files; the others are in its extension. */
function withTwin({ objects, dataObject }: AsfHeader, type: Exclusive['type']): AsfHeader {
  const common = { exclusionType: GUID.mutexBitrate };
  const exclusive: HeaderObject =
    type === 'groupMutualExclusion'
      ? { ...common, type, groups: [[VIDEO], [TWIN]] }
      : { ...common, type, streamNumbers: [VIDEO, TWIN] };
  const inHeader = type === 'bitrateMutualExclusion';
  const all = objects.flatMap((object): HeaderObject[] => {
    if (object.type === 'headerExtension' && !inHeader) return [{ ...object, objects: [...object.objects, exclusive] }];
    return object.type === 'streamProperties' && object.flags === VIDEO
      ? [object, { ...object, flags: TWIN }]
      : [object];
  });
  return buildHeader(inHeader ? [...all, exclusive] : all, dataObject);
}

/** A folder of files and playlists, as a server finds them. */
export class Content implements AnyContent {
  readonly folder: string;
  readonly files = new OnDemandFiles({ linger: 20 });
  readonly points = new PublishingPoints({ newPoints: 'loopback', broadcast: { batchInterval: 0, burst: 1000 } });
  readonly redirects = new Map<string, Redirect>();
  readonly warnings: string[] = [];
  readonly #programs: Programs;

  private constructor(folder: string) {
    this.folder = folder;
    this.#programs = new Programs({
      points: this.points,
      rule: ruleOf({}),
      files: this.files,
      content: new ContentRoot(folder),
      redirects: this.redirects,
      onWarning: (message) => this.warnings.push(message),
    });
  }

  static async create(): Promise<Content> {
    return new Content(await mkdtemp(join(tmpdir(), 'wmcast-wmsp-')));
  }

  find(request: Pick<ContentRequest, 'path'>): Promise<Found | Missing | Redirect> {
    return this.#programs.find(request);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  async media(name: string, options: MadeMedia = {}): Promise<Buffer> {
    const bytes = madeFile(options);
    await writeFile(this.path(name), bytes);
    return bytes;
  }

  /** @param entries the entries of the playlist: names of files, or elements */
  async playlist(name: string, ...entries: string[]): Promise<void> {
    const elements = entries.map((entry) => (entry.startsWith('<') ? entry : `<media src="${entry}"/>`));
    await writeFile(this.path(name), `<?wsx version="1.0"?><smil>${elements.join('')}</smil>`);
  }

  async close(): Promise<void> {
    await this.files.close();
    await rm(this.folder, { recursive: true, force: true });
  }
}
