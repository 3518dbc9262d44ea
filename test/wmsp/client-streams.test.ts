import fc from 'fast-check';
import { GUID } from '../../src/asf/guid.js';
import { type AsfHeader, buildHeader, type HeaderObject } from '../../src/asf/header.js';
import { parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { flattenObjects } from '../../src/asf/stream.js';
import { chooseStreams, headerWithStreams, packetWithStreams } from '../../src/receiving/streams.js';
import { selectionOf } from '../../src/wmsp/client/streams.js';
import { AUDIO, testHeader, VIDEO } from '../support/stream.js';

/** One audio stream (2) and videos of several rates that exclude each other: 1 (300k), 3 (100k), 5 (700k). */
function multipleRates(exclusion = GUID.mutexBitrate): AsfHeader {
  const { objects, fileId, dataObject } = testHeader();
  const video = objects.find((object) => object.type === 'streamProperties')!;
  if (video.type !== 'streamProperties') throw new Error('no video');
  const rest = objects.filter((object) => object.type !== 'streamBitrateProperties');
  const more: HeaderObject[] = [
    { ...video, flags: 3 },
    { ...video, flags: 5 },
    { type: 'bitrateMutualExclusion', exclusionType: exclusion, streamNumbers: [1, 3, 5] },
    {
      type: 'streamBitrateProperties',
      records: [
        { flags: 1, averageBitrate: 300_000 },
        { flags: 2, averageBitrate: 64_000 },
        { flags: 3, averageBitrate: 100_000 },
        { flags: 5, averageBitrate: 700_000 },
      ],
    },
  ];
  return buildHeader([...rest, ...more], { ...dataObject, fileId });
}

const chosen = (header: AsfHeader, wish: Parameters<typeof chooseStreams>[1]) =>
  [...chooseStreams(header, wish)].sort((a, b) => a - b);

describe('chooseStreams', () => {
  it('chooses all, but only the first of streams that exclude each other', () => {
    expect(chosen(testHeader(), {})).toEqual([VIDEO, AUDIO]);
    expect(chosen(multipleRates(), {})).toEqual([1, 2]);
  });

  it.each([
    [50_000, [2, 3]],
    [200_000, [2, 3]],
    [363_999, [2, 3]],
    [364_000, [1, 2]],
    [763_999, [1, 2]],
    [764_000, [2, 5]],
    [10_000_000, [2, 5]],
  ])('chooses the best that fits %d bit/s', (bandwidth, expected) => {
    expect(chosen(multipleRates(), { bandwidth })).toEqual(expected);
  });

  it('does not choose by bandwidth between languages', () => {
    expect(chosen(multipleRates(GUID.mutexLanguage), { bandwidth: 10_000_000 })).toEqual([1, 2]);
  });

  it('chooses the named streams, and lists the existing ones if one is missing', () => {
    expect(chosen(multipleRates(), { streams: [5], bandwidth: 1 })).toEqual([5]);
    expect(() => chooseStreams(testHeader(), { streams: [2, 9] })).toThrow(/no stream 9; there are 1, 2/);
    expect(() => chooseStreams(testHeader(), { streams: [] })).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});

describe('selectionOf', () => {
  it('[WMSP-143] names every stream, on or off', () => {
    expect(selectionOf(multipleRates(), new Set([2, 5]))).toEqual([
      { source: undefined, destination: 1, level: 2 },
      { source: undefined, destination: 2, level: 0 },
      { source: undefined, destination: 3, level: 2 },
      { source: undefined, destination: 5, level: 0 },
    ]);
  });
});

describe('headerWithStreams', () => {
  it('contains nothing of the streams that were not chosen', () => {
    const header = headerWithStreams(multipleRates(), new Set([2, 5]));
    expect(header.streams.map(({ number }) => number)).toEqual([2, 5]);
    expect([...header.streamBitrates]).toEqual([
      [2, 64_000],
      [5, 700_000],
    ]);
    expect(flattenObjects(header.objects).some(({ type }) => type === 'bitrateMutualExclusion')).toBe(false);
    expect(header.fileId).toBe(testHeader().fileId);
  });

  it('is the same if all were chosen', () => {
    const header = testHeader();
    expect(headerWithStreams(header, new Set([1, 2]))).toBe(header);
  });
});

describe('packetWithStreams', () => {
  const payload = (stream: number) => ({
    stream,
    key: true,
    mediaObjectNumber: 0,
    offset: 0,
    replicated: Buffer.alloc(8),
    data: Buffer.alloc(20, stream),
  });
  const packet = (streams: readonly number[]) =>
    parsePacket(buildPacket({ sendTime: 5, duration: 0, packetSize: 400, payloads: streams.map(payload) }));

  it('keeps the payloads of chosen streams, in their order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
        fc.uniqueArray(fc.integer({ min: 1, max: 4 })),
        (streams, wanted) => {
          const kept = packetWithStreams(packet(streams), new Set(wanted));
          const expected = streams.filter((stream) => wanted.includes(stream));
          expect(kept?.payloads.map(({ stream }) => stream) ?? []).toEqual(expected);
        },
      ),
    );
  });

  it('is the same if nothing has to be removed', () => {
    const whole = packet([1, 2]);
    expect(packetWithStreams(whole, new Set([1, 2, 3]))).toBe(whole);
  });
});
