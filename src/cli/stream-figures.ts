import type { StreamFigures } from '../media/stream-statistics.js';
import type { OpenedInput } from './open-input.js';
import { withUnit } from './reporter.js';

type Input = Pick<OpenedInput, 'statistics' | 'frames'>;

/** Returns the figures of each stream as fields of the event `done`. */
export function figuresOf({ statistics, frames }: Input): Record<string, unknown> {
  return { streams: statistics.streams, ...frames() };
}

/** Describes the figures of each stream in a line. */
export function describeFigures({ statistics, frames }: Input): string[] {
  const { encoderDropped = 0, encoderRepeated = 0 } = frames() ?? {};
  return statistics.streams.map((stream) => {
    const left = stream.type === 'video' ? [encoderDropped, encoderRepeated] : [0, 0];
    return [
      `  ${stream.number} ${stream.type === 'command' ? 'script commands' : `${stream.type} ${stream.codec}`}: ${counted(stream)}`,
      ...(stream.type === 'command' ? [] : [rate(stream)]),
      ...(stream.dropped > 0 ? [`${stream.dropped} dropped`] : []),
      ...(stream.missing > 0 ? [`${stream.missing} missing in the input`] : []),
      ...(left[0] ? [`${left[0]} left out by ffmpeg for the frame rate`] : []),
      ...(left[1] ? [`${left[1]} repeated`] : []),
    ].join(', ');
  });
}

function counted({ type, objects, keyFrames }: StreamFigures): string {
  if (type === 'video') return `${objects} frames (${keyFrames} key frames)`;
  return type === 'command' ? String(objects) : `${objects} blocks`;
}

function rate({ meanBitrate, expectedBitrate }: StreamFigures): string {
  const mean = withUnit(meanBitrate, 'bit/s');
  return expectedBitrate > 0 ? `${mean} of ${withUnit(expectedBitrate, 'bit/s')}` : mean;
}
