import { GUID } from '../../src/asf/guid.js';
import { type AsfHeader, buildHeader, type HeaderObject } from '../../src/asf/header.js';
import { AUDIO, testHeader } from '../support/stream.js';

/** What the sound of {@link ratesHeader} takes, in bits per second. */
export const SOUND_RATE = 64_000;

/**
 * Returns the header of sound (stream 2) and of videos that exclude each other by rate.
 *
 * @param videos the rate of each in bits per second, by its stream number
 */
export function ratesHeader(videos: Readonly<Record<number, number>>): AsfHeader {
  const { objects, dataObject } = testHeader();
  const video = objects.find((object) => object.type === 'streamProperties')!;
  const streamNumbers = Object.keys(videos).map(Number);
  const exclusion: HeaderObject = {
    type: 'advancedMutualExclusion',
    exclusionType: GUID.mutexBitrate,
    streamNumbers,
  };
  const rates: HeaderObject = {
    type: 'streamBitrateProperties',
    records: [
      { flags: AUDIO, averageBitrate: SOUND_RATE },
      ...streamNumbers.map((flags) => ({ flags, averageBitrate: videos[flags]! })),
    ],
  };
  const all = objects.flatMap((object): HeaderObject[] => {
    if (object.type === 'streamBitrateProperties') return [rates];
    if (object.type === 'headerExtension') return [{ ...object, objects: [exclusion] }];
    return object === video ? streamNumbers.map((flags) => ({ ...video, flags }) as HeaderObject) : [object];
  });
  return buildHeader(all, dataObject);
}
