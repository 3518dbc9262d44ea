import { DATA_OBJECT_HEAD_SIZE, GUID, type HeaderObject, parseHeader, STREAM_FLAG } from '../../src/asf/index.js';
import { frameObject } from '../../src/asf/object-tree.js';
import { audio, FILE_ID, fileProperties, header, hex, video } from './support.js';

/** A header with the given objects after File Properties and one audio stream. */
export function headerWith(...extra: Buffer[]): Buffer {
  const { bytes } = header([fileProperties(), audio(1)]);
  const own = bytes.subarray(0, bytes.length - DATA_OBJECT_HEAD_SIZE);
  const out = Buffer.concat([own, ...extra, bytes.subarray(own.length)]);
  out.writeBigUInt64LE(BigInt(out.length - DATA_OBJECT_HEAD_SIZE), 16);
  out.writeUInt32LE(2 + extra.length, 24);
  return out;
}

/** The object that was read from the given body. */
export function readBack(id: string, body: Buffer): HeaderObject {
  return parseHeader(headerWith(frameObject(id, body))).objects.at(-1)!;
}

export function utf16(text: string): Buffer {
  return Buffer.from(text, 'utf16le');
}

export function extension(...objects: HeaderObject[]): HeaderObject {
  return { type: 'headerExtension', objects };
}

export const extended = (changes: object = {}): Extract<HeaderObject, { type: 'extendedStreamProperties' }> => ({
  type: 'extendedStreamProperties',
  startTime: 0n,
  endTime: 0n,
  dataBitrate: 300_000,
  bufferSize: 3000,
  initialBufferFullness: 0,
  alternateDataBitrate: 350_000,
  alternateBufferSize: 3000,
  alternateInitialBufferFullness: 0,
  maximumObjectSize: 0,
  flags: STREAM_FLAG.seekable,
  streamNumber: 2,
  languageIndex: 0,
  averageTimePerFrame: 400_000n,
  names: [{ languageIndex: 0, name: 'main' }],
  payloadExtensionSystems: [{ systemId: GUID.extensionSampleDuration, dataSize: 2, info: Buffer.alloc(0) }],
  streamProperties: undefined,
  ...changes,
});

/** One object of every kind, with something in every list. */
export const everyObject: HeaderObject[] = [
  {
    type: 'codecList',
    reserved: GUID.reserved2,
    entries: [{ codecType: 2, name: 'WMA', description: '48 kb/s', information: hex('6101') }],
  },
  {
    type: 'scriptCommand',
    reserved: GUID.reserved3,
    commandTypes: ['URL', 'TEXT'],
    commands: [{ presentationTime: 3000, typeIndex: 1, name: 'héllo' }],
  },
  {
    type: 'marker',
    reserved: GUID.reserved4,
    name: 'chapters',
    markers: [{ offset: 50n, presentationTime: 30_000_000n, sendTime: 1, flags: 0, description: 'one' }],
  },
  { type: 'bitrateMutualExclusion', exclusionType: GUID.mutexBitrate, streamNumbers: [2, 3] },
  { type: 'errorCorrection', errorCorrectionType: GUID.noErrorCorrection, data: hex('0102') },
  { type: 'contentDescription', title: 'T', author: '', copyright: '© 2004', description: 'D', rating: '' },
  {
    type: 'extendedContentDescription',
    descriptors: [
      { name: 'WM/Genre', value: { kind: 'string', value: 'News' } },
      { name: 'raw', value: { kind: 'bytes', value: hex('00ff') } },
      { name: 'IsVBR', value: { kind: 'bool', value: true } },
      { name: 'WM/Track', value: { kind: 'dword', value: 7 } },
      { name: 'WM/EncodingTime', value: { kind: 'qword', value: 1n << 60n } },
      { name: 'word', value: { kind: 'word', value: 65_535 } },
      { name: 'odd', value: { kind: 'other', dataType: 3, value: hex('01') } },
    ],
  },
  {
    type: 'streamBitrateProperties',
    records: [
      { flags: 1, averageBitrate: 64_300 },
      { flags: 2, averageBitrate: 300_000 },
    ],
  },
  {
    type: 'contentBranding',
    bannerImageType: 2,
    bannerImage: hex('ffd8'),
    bannerImageUrl: 'http://a/',
    copyrightUrl: '',
  },
  { type: 'contentEncryption', secretData: hex('aabb'), protectionType: 'DRM', keyId: 'KEY', licenseUrl: 'http://b/' },
  { type: 'extendedContentEncryption', data: hex('fffe3c00') },
  { type: 'digitalSignature', signatureType: 2, data: hex('0011') },
  { type: 'padding', data: Buffer.alloc(10) },
  { type: 'unknown', guid: 'ab'.repeat(16), bytes: frameObject('ab'.repeat(16), hex('c0ffee')) },
  extension(
    extended(),
    extended({ streamNumber: 3, streamProperties: video(3) }),
    { type: 'advancedMutualExclusion', exclusionType: GUID.mutexBitrate, streamNumbers: [2, 3] },
    { type: 'groupMutualExclusion', exclusionType: GUID.mutexLanguage, groups: [[1], [2, 3]] },
    { type: 'streamPrioritization', records: [{ streamNumber: 1, flags: 1 }] },
    {
      type: 'bandwidthSharing',
      sharingType: GUID.bandwidthSharingPartial,
      dataBitrate: 1000,
      bufferSize: 500,
      streamNumbers: [1, 2],
    },
    { type: 'languageList', languages: ['en-us', 'de'] },
    {
      type: 'metadata',
      records: [
        { languageIndex: 0, streamNumber: 2, name: 'AspectRatioX', value: { kind: 'dword', value: 4 } },
        { languageIndex: 0, streamNumber: 0, name: 'b', value: { kind: 'bool', value: true } },
      ],
    },
    {
      type: 'metadataLibrary',
      records: [{ languageIndex: 1, streamNumber: 0, name: 'id', value: { kind: 'guid', value: FILE_ID } }],
    },
    { type: 'indexParameters', interval: 1000, specifiers: [{ streamNumber: 2, indexType: 3 }] },
    { type: 'mediaObjectIndexParameters', interval: 1, specifiers: [{ streamNumber: 2, indexType: 0xff }] },
    { type: 'timecodeIndexParameters', interval: 1, specifiers: [{ streamNumber: 2, indexType: 2 }] },
    { type: 'indexPlaceholder', data: Buffer.alloc(14) },
    { type: 'compatibility', profile: 2, mode: 1 },
    {
      type: 'advancedContentEncryption',
      records: [
        {
          systemId: GUID.drmNetworkDevices,
          systemVersion: 1,
          objects: [{ idType: 1, id: hex('0200') }],
          data: hex('99'),
        },
      ],
    },
  ),
];
