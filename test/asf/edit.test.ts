import { fileTime } from '../../src/asf/edit.js';
import {
  describeStreams,
  type ExtendedStreamProperties,
  GUID,
  type HeaderObject,
  liveHeader,
  parseHeader,
  sameLayout,
} from '../../src/asf/index.js';
import { audio, FILE_ID, fileProperties, header, liveAv, video, ZERO_ID } from './support.js';

const UNIX_EPOCH = 116_444_736_000_000_000n;

/** The header that ffmpeg writes to a pipe. */
const likeFfmpeg = () =>
  header(
    [
      fileProperties({ fileId: ZERO_ID, creationDate: UNIX_EPOCH, flags: 3, playDuration: 31_000_000n, preroll: 3100 }),
      audio(1),
      video(2),
    ],
    { fileId: ZERO_ID },
  );

const esp = (changes: Partial<ExtendedStreamProperties> = {}): ExtendedStreamProperties => ({
  type: 'extendedStreamProperties',
  startTime: 3000n,
  endTime: 9000n,
  dataBitrate: 300_000,
  bufferSize: 3000,
  initialBufferFullness: 0,
  alternateDataBitrate: 0,
  alternateBufferSize: 0,
  alternateInitialBufferFullness: 0,
  maximumObjectSize: 0,
  flags: 2,
  streamNumber: 2,
  languageIndex: 1,
  averageTimePerFrame: 333_667n,
  names: [],
  payloadExtensionSystems: [],
  streamProperties: undefined,
  ...changes,
});

describe('liveHeader (asf.md 10.7)', () => {
  it('accepts texts that fill their fields, and names one that is too long', () => {
    const title = 'é'.repeat(32_766);
    const { objects } = parseHeader(liveHeader(likeFfmpeg(), { title }).bytes);
    expect(objects.find(({ type }) => type === 'contentDescription')).toMatchObject({ title });
    const message = 'author has 32767 characters; an ASF header holds at most 32766.';
    expect(() => liveHeader(likeFfmpeg(), { author: `${title}x` })).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message }),
    );
  });

  it('keeps a text that fills its field without a NUL', () => {
    const full = 'x'.repeat(32_767);
    const texts = { type: 'contentDescription', title: full, author: '', copyright: '', description: '', rating: '' };
    const old = header([fileProperties(), audio(1), texts as HeaderObject]);
    const made = liveHeader(parseHeader(old.bytes), { author: 'Anna' });
    expect(made.objects.find(({ type }) => type === 'contentDescription')).toMatchObject({
      title: full,
      author: 'Anna',
    });
  });

  it('sets Broadcast, clears Seekable and zeroes the durations', () => {
    const { fileProperties: file, broadcast } = liveHeader(likeFfmpeg());
    expect(file).toMatchObject({
      flags: 1,
      playDuration: 0n,
      sendDuration: 0n,
      preroll: 3100,
      minimumPacketSize: 200,
      maximumPacketSize: 200,
    });
    expect(broadcast).toBe(true);
  });

  it('writes a Data Packets Count that is not 0, because players stop there', () => {
    expect(liveHeader(likeFfmpeg()).fileProperties.dataPacketsCount).toBe(0xffff_ffffn);
  });

  it('keeps unknown flags', () => {
    expect(liveHeader(liveAv({ flags: 0xa })).fileProperties.flags).toBe(9);
  });

  it('puts a random File ID in both places if it is missing, and keeps an existing one', () => {
    const live = liveHeader(likeFfmpeg());
    expect(live.fileId).not.toBe(ZERO_ID);
    expect(live.dataObject.fileId).toBe(live.fileId);
    expect(liveHeader(likeFfmpeg()).fileId).not.toBe(live.fileId);
    expect(liveHeader(liveAv()).fileId).toBe(FILE_ID);
    expect(liveHeader(liveAv(), { fileId: 'cd'.repeat(16) })).toMatchObject({
      fileId: 'cd'.repeat(16),
      dataObject: { fileId: 'cd'.repeat(16) },
    });
  });

  it('adds a date to a header without one', () => {
    const now = new Date('2024-03-01T12:00:00Z');
    expect(liveHeader(likeFfmpeg(), { now }).fileProperties.creationDate).toBe(fileTime(now));
    expect(fileTime(new Date(0))).toBe(UNIX_EPOCH);
    expect(liveHeader(liveAv({ creationDate: 5n }), { now }).fileProperties.creationDate).toBe(5n);
  });

  it('adds Stream Bitrate Properties, and their sum as Maximum Bitrate', () => {
    const source = likeFfmpeg();
    const live = liveHeader(source);
    const records = [...source.streamBitrates].map(([flags, averageBitrate]) => ({ flags, averageBitrate }));
    expect(live.objects.at(-1)).toEqual({ type: 'streamBitrateProperties', records });
    expect(live.fileProperties.maximumBitrate).toBe(
      records.reduce((sum, { averageBitrate }) => sum + averageBitrate, 0),
    );
  });

  it('prefers measured bit rates to those of the header', () => {
    const first = liveHeader(likeFfmpeg());
    const second = liveHeader(first, { bitrates: new Map([[2, 777_000]]) });
    expect(second.streamBitrates.get(2)).toBe(777_000);
    expect(second.objects.filter(({ type }) => type === 'streamBitrateProperties')).toHaveLength(1);
  });

  it('replaces index parameters by padding, drops markers, and makes Extended Stream Properties live', () => {
    const objects: HeaderObject[] = [
      fileProperties(),
      audio(1),
      {
        type: 'headerExtension',
        objects: [
          { type: 'indexParameters', interval: 1000, specifiers: [{ streamNumber: 2, indexType: 3 }] },
          esp(),
          { type: 'compatibility', profile: 2, mode: 1 },
        ],
      },
      video(2),
      { type: 'marker', reserved: GUID.reserved4, name: '', markers: [] },
    ];
    const live = liveHeader(header(objects));
    expect(live.objects.map(({ type }) => type)).toEqual([
      'fileProperties',
      'streamProperties',
      'headerExtension',
      'streamProperties',
      'streamBitrateProperties',
    ]);
    const [, , extension] = live.objects;
    expect(extension).toMatchObject({
      objects: [
        { type: 'padding', data: Buffer.alloc(10) },
        { type: 'extendedStreamProperties', flags: 0, startTime: 0n, endTime: 0n },
        { type: 'compatibility' },
      ],
    });
  });

  it('has correct size and count fields, a Data Object of 50 bytes, and its own size as File Size', () => {
    const live = liveHeader(
      header([fileProperties(), audio(1), { type: 'marker', reserved: GUID.reserved4, name: '', markers: [] }], {
        size: 5050n,
        packetCount: 25n,
      }),
    );
    expect(live.dataObject).toEqual({ fileId: FILE_ID, size: 50n, packetCount: 0n });
    expect(live.bytes.readUInt32LE(24)).toBe(live.objects.length);
    expect(live.bytes.readBigUInt64LE(16)).toBe(BigInt(live.bytes.length - 50));
    expect(live.fileProperties.fileSize).toBe(BigInt(live.bytes.length));
  });

  it('sets the given texts and keeps the others', () => {
    const first = liveHeader(likeFfmpeg(), { title: 'News', author: 'Ünal' });
    expect(first.objects.find(({ type }) => type === 'contentDescription')).toEqual({
      type: 'contentDescription',
      title: 'News',
      author: 'Ünal',
      copyright: '',
      description: '',
      rating: '',
    });
    const second = liveHeader(first, { title: 'Sport' });
    expect(second.objects.find(({ type }) => type === 'contentDescription')).toMatchObject({
      title: 'Sport',
      author: 'Ünal',
    });
  });

  it('is idempotent', () => {
    const live = liveHeader(likeFfmpeg(), { title: 'News' });
    expect(liveHeader(live).bytes).toEqual(live.bytes);
  });

  it('can change the packet size', () => {
    expect(liveHeader(likeFfmpeg(), { packetSize: 1400 })).toMatchObject({
      packetSize: 1400,
      fileProperties: { minimumPacketSize: 1400 },
    });
  });

  it('does not change what a Digital Signature covers (asf.md 15)', () => {
    const signed: HeaderObject[] = [
      { type: 'extendedContentEncryption', data: Buffer.from('drm') },
      { type: 'headerExtension', objects: [esp()] },
      { type: 'contentDescription', title: 'signed', author: '', copyright: '', description: '', rating: '' },
    ];
    const source = header([
      fileProperties(),
      ...signed,
      { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(8) },
      audio(1),
      video(2),
    ]);
    const live = liveHeader(source, { title: 'other' });
    const part = (bytes: Buffer): Buffer =>
      bytes.subarray(30 + 104, bytes.indexOf(GUID.digitalSignatureObject, 0, 'hex'));
    expect(part(live.bytes)).toEqual(part(source.bytes));
    expect(live.objects.at(-1)!.type).toBe('streamBitrateProperties');
  });
});

describe('an impossibly large preroll', () => {
  it.each([2 ** 64, 2 ** 63, 2 ** 53])('is kept: %d ms', (preroll) => {
    const { bytes } = liveHeader(liveAv({ preroll }));
    expect(parseHeader(bytes).preroll).toBe(preroll);
  });
});

describe('sameLayout', () => {
  const base = liveAv();

  it('ignores what differs each time an encoder starts', () => {
    const again = liveAv({
      fileId: 'ab'.repeat(16),
      creationDate: 99n,
      fileSize: 5n,
      dataPacketsCount: 7n,
      playDuration: 1n,
      sendDuration: 1n,
    });
    expect(sameLayout(base, again)).toBe(true);
    const encoded = (value: bigint) =>
      header([
        fileProperties(),
        audio(1),
        {
          type: 'extendedContentDescription',
          descriptors: [{ name: 'WM/EncodingTime', value: { kind: 'qword', value } }],
        },
      ]);
    expect(sameLayout(encoded(1n), encoded(2n))).toBe(true);
  });

  it('compares streams, packet size, preroll and flags', () => {
    expect(sameLayout(base, header([fileProperties(), audio(1)]))).toBe(false);
    expect(sameLayout(base, header([fileProperties(), audio(1), video(3)]))).toBe(false);
    expect(sameLayout(base, liveAv({ maximumPacketSize: 300 }))).toBe(false);
    expect(sameLayout(base, liveAv({ preroll: 1 }))).toBe(false);
    expect(sameLayout(base, liveAv({ flags: 2 }))).toBe(false);
  });
});

describe('describeStreams', () => {
  it('returns what a person wants to know', () => {
    const source = header([
      fileProperties(),
      audio(1),
      video(2),
      { type: 'headerExtension', objects: [{ type: 'languageList', languages: ['en', 'de-at'] }, esp()] },
    ]);
    expect(describeStreams(source)).toEqual([
      {
        number: 1,
        type: 'audio',
        codec: 'WMA 2',
        bitrate: source.streamBitrates.get(1),
        encrypted: false,
        hidden: false,
        channels: 2,
        samplesPerSecond: 44_100,
      },
      {
        number: 2,
        type: 'video',
        codec: 'WMV3',
        bitrate: source.streamBitrates.get(2),
        encrypted: false,
        hidden: false,
        language: 'de-at',
        framesPerSecond: 29.97,
        width: 320,
        height: 240,
      },
    ]);
  });

  it('removes control characters from a FourCC', () => {
    const colourful = video(1);
    const data = Buffer.from(colourful.typeSpecificData);
    data.write('\x1b[2J', 11 + 16, 'latin1');
    expect(describeStreams(header([fileProperties(), { ...colourful, typeSpecificData: data }]))[0]!.codec).toBe(
      '?[2J',
    );
  });

  it('is the same for a header that was read again', () => {
    expect(describeStreams(parseHeader(liveAv().bytes))).toEqual(describeStreams(liveAv()));
  });
});
