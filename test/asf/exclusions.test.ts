import { type Exclusion, exclusionsOf, leftOut } from '../../src/asf/exclusions.js';
import { GUID } from '../../src/asf/guid.js';
import { buildHeader, type HeaderObject, parseHeader } from '../../src/asf/header.js';
import { testHeader } from '../support/stream.js';
import { extension } from './object-support.js';

/** A header with streams 1 to 6, read from its bytes. */
function headerWith(...exclusions: HeaderObject[]) {
  const { objects, fileId, dataObject } = testHeader();
  const video = objects.find((object) => object.type === 'streamProperties')!;
  const more = [3, 4, 5, 6].map((flags) => ({ ...video, flags }) as HeaderObject);
  const written = buildHeader([...objects, ...more, ...exclusions], { ...dataObject, fileId });
  return parseHeader(written.bytes);
}

const bitrate: HeaderObject = {
  type: 'bitrateMutualExclusion',
  exclusionType: GUID.mutexBitrate,
  streamNumbers: [1, 3],
};
const advanced: HeaderObject = { ...bitrate, type: 'advancedMutualExclusion' } as HeaderObject;
const group: HeaderObject = {
  type: 'groupMutualExclusion',
  exclusionType: GUID.mutexLanguage,
  groups: [
    [1, 2],
    [3, 4],
  ],
};

describe('exclusionsOf', () => {
  const streams: Exclusion = { by: 'bitrate', choices: [[1], [3]] };
  const groups: Exclusion = {
    by: 'language',
    choices: [
      [1, 2],
      [3, 4],
    ],
  };

  it.each([
    ['Bitrate Mutual Exclusion in the header', [bitrate], [streams]],
    ['Bitrate Mutual Exclusion in the extension', [extension(bitrate)], [streams]],
    ['Advanced Mutual Exclusion in the header', [advanced], [streams]],
    ['Advanced Mutual Exclusion in the extension', [extension(advanced)], [streams]],
    ['Group Mutual Exclusion in the header', [group], [groups]],
    ['Group Mutual Exclusion in the extension', [extension(group)], [groups]],
    ['several of them', [bitrate, extension(group)], [streams, groups]],
  ])('reads a %s', (_, objects, expected) => {
    expect(exclusionsOf(headerWith(...objects))).toEqual(expected);
  });

  it('ignores undeclared streams, and objects that leave no choice', () => {
    const wide = { ...bitrate, streamNumbers: [1, 99, 5, 1] } as HeaderObject;
    const single = { ...advanced, streamNumbers: [2, 98, 2] } as HeaderObject;
    expect(exclusionsOf(headerWith(wide, single))).toEqual([{ by: 'bitrate', choices: [[1], [5]] }]);
  });
});

describe('leftOut', () => {
  const of = (...choices: number[][]): Exclusion => ({ by: 'unknown', choices });

  it.each([
    ['all but the first choice', [of([1], [3], [5])], [3, 5]],
    ['whole records', [of([1, 2], [3, 4])], [3, 4]],
    ['no stream that the kept record shares', [of([1, 2], [1, 4])], [4]],
    ['those of each exclusion', [of([1], [3]), of([2], [4])], [3, 4]],
    ['what overlaps only once, so that a choice of each is left', [of([1], [3]), of([5], [1])], [3, 5]],
  ])('leaves out %s', (_, exclusions, expected) => {
    expect([...leftOut(exclusions)].sort()).toEqual(expected);
  });

  it('keeps the choice that was picked', () => {
    expect([...leftOut([of([1], [3], [5])], (choices) => choices.at(-1)!)]).toEqual([1, 3]);
  });
});
