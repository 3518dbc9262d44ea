/**
 * The objects of the ASF header as plain data. GUIDs are 32 lower-case hex characters of the raw 16 bytes, QWORDs are
 * bigint, texts have no terminating NULs. Objects are never changed in place: an edit is a copy (`{ ...object, title
 * }`), and an object that was not copied is written back byte for byte.
 */

/** File Properties (asf.md 3.1), mandatory. @public */
export interface FileProperties {
  readonly type: 'fileProperties';
  readonly fileId: string;
  /** Bytes; not valid when the Broadcast flag is set. */
  readonly fileSize: bigint;
  /** 100 ns units since 1601-01-01 UTC. */
  readonly creationDate: bigint;
  /** Not valid when the Broadcast flag is set. */
  readonly dataPacketsCount: bigint;
  /** 100 ns units, the preroll included; 0 when live. */
  readonly playDuration: bigint;
  /** 100 ns units; 0 when live. */
  readonly sendDuration: bigint;
  /** Milliseconds by which every presentation time is increased. */
  readonly preroll: number;
  /** Bit 0 Broadcast, bit 1 Seekable; others are kept as they are. */
  readonly flags: number;
  readonly minimumPacketSize: number;
  readonly maximumPacketSize: number;
  /** Bits per second of the visible streams, packet overhead included. */
  readonly maximumBitrate: number;
}

/** Bits of {@link FileProperties.flags}. @public */
export const FILE_FLAG = { broadcast: 1, seekable: 2 } as const;

/** Stream Properties (asf.md 3.2) as in the file; {@link StreamProperties} is the decoded form. @public */
export interface StreamPropertiesObject {
  readonly type: 'streamProperties';
  /** Media GUID. */
  readonly streamType: string;
  readonly errorCorrectionType: string;
  /** Added to all times of the stream, in 100 ns units. */
  readonly timeOffset: bigint;
  /** Bits 0–6 stream number, bit 15 Encrypted Content. */
  readonly flags: number;
  readonly reserved: number;
  readonly typeSpecificData: Buffer;
  readonly errorCorrectionData: Buffer;
}

/** Header Extension (asf.md 3.3), mandatory. @public */
export interface HeaderExtension {
  readonly type: 'headerExtension';
  readonly objects: readonly HeaderObject[];
}

/** @public */
export interface CodecEntry {
  /** 1 video, 2 audio, 0xFFFF unknown. */
  readonly codecType: number;
  readonly name: string;
  readonly description: string;
  /** Audio: WORD format tag; video: FourCC. */
  readonly information: Buffer;
}

/** Codec List (asf.md 3.4). @public */
export interface CodecList {
  readonly type: 'codecList';
  readonly reserved: string;
  readonly entries: readonly CodecEntry[];
}

/** @public */
export interface ScriptCommandEntry {
  /** Milliseconds, preroll included. */
  readonly presentationTime: number;
  /** Index into {@link ScriptCommand.commandTypes}. */
  readonly typeIndex: number;
  readonly name: string;
}

/** Script Command (asf.md 3.5). @public */
export interface ScriptCommand {
  readonly type: 'scriptCommand';
  readonly reserved: string;
  readonly commandTypes: readonly string[];
  readonly commands: readonly ScriptCommandEntry[];
}

/** @public */
export interface MarkerEntry {
  /** Into the Data Object, according to the specification; unreliable. */
  readonly offset: bigint;
  /** 100 ns units, preroll included. */
  readonly presentationTime: bigint;
  /** Milliseconds. */
  readonly sendTime: number;
  readonly flags: number;
  readonly description: string;
}

/** Marker (asf.md 3.6). @public */
export interface Marker {
  readonly type: 'marker';
  readonly reserved: string;
  readonly name: string;
  readonly markers: readonly MarkerEntry[];
}

/** Bitrate Mutual Exclusion (asf.md 3.7) and Advanced Mutual Exclusion (4.2). @public */
export interface MutualExclusion {
  readonly type: 'bitrateMutualExclusion' | 'advancedMutualExclusion';
  readonly exclusionType: string;
  readonly streamNumbers: readonly number[];
}

/** Error Correction (asf.md 3.8). @public */
export interface ErrorCorrection {
  readonly type: 'errorCorrection';
  readonly errorCorrectionType: string;
  readonly data: Buffer;
}

/** Content Description (asf.md 3.9). @public */
export interface ContentDescription {
  readonly type: 'contentDescription';
  readonly title: string;
  readonly author: string;
  readonly copyright: string;
  readonly description: string;
  readonly rating: string;
}

/** The value of a content descriptor or a metadata record, by its data type. @public */
export type AttributeValue =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'bytes'; readonly value: Buffer }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'dword'; readonly value: number }
  | { readonly kind: 'qword'; readonly value: bigint }
  | { readonly kind: 'word'; readonly value: number }
  | { readonly kind: 'guid'; readonly value: string }
  /** An unknown data type, or a value whose length does not fit its type. */
  | { readonly kind: 'other'; readonly dataType: number; readonly value: Buffer };

/** @public */
export interface ContentDescriptor {
  readonly name: string;
  readonly value: AttributeValue;
}

/** Extended Content Description (asf.md 3.10). @public */
export interface ExtendedContentDescription {
  readonly type: 'extendedContentDescription';
  readonly descriptors: readonly ContentDescriptor[];
}

/** @public */
export interface StreamBitrateRecord {
  /** Bits 0–6 stream number. */
  readonly flags: number;
  /** Bits per second, packet overhead included. */
  readonly averageBitrate: number;
}

/** Stream Bitrate Properties (asf.md 3.11). @public */
export interface StreamBitrateProperties {
  readonly type: 'streamBitrateProperties';
  readonly records: readonly StreamBitrateRecord[];
}

/** Content Branding (asf.md 3.12). @public */
export interface ContentBranding {
  readonly type: 'contentBranding';
  /** 0 none, 1 BMP, 2 JPEG, 3 GIF. */
  readonly bannerImageType: number;
  readonly bannerImage: Buffer;
  readonly bannerImageUrl: string;
  readonly copyrightUrl: string;
}

/** Content Encryption (asf.md 3.13), always passed through. @public */
export interface ContentEncryption {
  readonly type: 'contentEncryption';
  readonly secretData: Buffer;
  readonly protectionType: string;
  readonly keyId: string;
  readonly licenseUrl: string;
}

/** Extended Content Encryption (asf.md 3.13), always passed through. @public */
export interface ExtendedContentEncryption {
  readonly type: 'extendedContentEncryption';
  readonly data: Buffer;
}

/** Digital Signature (asf.md 3.13), always passed through. @public */
export interface DigitalSignature {
  readonly type: 'digitalSignature';
  readonly signatureType: number;
  readonly data: Buffer;
}

/** Padding (asf.md 3.14) and the Index Placeholder of Microsoft files (4.5): meaningless bytes. @public */
export interface Padding {
  readonly type: 'padding' | 'indexPlaceholder';
  readonly data: Buffer;
}

/** @public */
export interface StreamName {
  readonly languageIndex: number;
  readonly name: string;
}

/** @public */
export interface PayloadExtensionSystem {
  readonly systemId: string;
  /** Bytes per payload; 0xFFFF: variable. */
  readonly dataSize: number;
  readonly info: Buffer;
}

/** Extended Stream Properties (asf.md 4.1). @public */
export interface ExtendedStreamProperties {
  readonly type: 'extendedStreamProperties';
  /** Milliseconds; 0 if unset. */
  readonly startTime: bigint;
  readonly endTime: bigint;
  /** Leaky bucket: bits per second of payload, ms, ms. */
  readonly dataBitrate: number;
  readonly bufferSize: number;
  readonly initialBufferFullness: number;
  readonly alternateDataBitrate: number;
  readonly alternateBufferSize: number;
  readonly alternateInitialBufferFullness: number;
  /** Bytes; 0 if unknown. */
  readonly maximumObjectSize: number;
  /** Bit 0 Reliable, 1 Seekable, 2 No Cleanpoints, 3 Resend Live Cleanpoints. */
  readonly flags: number;
  readonly streamNumber: number;
  readonly languageIndex: number;
  /** 100 ns units; only for video. */
  readonly averageTimePerFrame: bigint;
  readonly names: readonly StreamName[];
  readonly payloadExtensionSystems: readonly PayloadExtensionSystem[];
  /** Present if the stream is hidden from readers that do not know this object. */
  readonly streamProperties: StreamPropertiesObject | undefined;
}

/** Bits of {@link ExtendedStreamProperties.flags}. @public */
export const STREAM_FLAG = { reliable: 1, seekable: 2, noCleanpoints: 4, resendLiveCleanpoints: 8 } as const;

/** Group Mutual Exclusion (asf.md 4.2). @public */
export interface GroupMutualExclusion {
  readonly type: 'groupMutualExclusion';
  readonly exclusionType: string;
  /** The streams of one record may be sent together; records exclude each other. */
  readonly groups: readonly (readonly number[])[];
}

/** Stream Prioritization (asf.md 4.2), in decreasing priority. @public */
export interface StreamPrioritization {
  readonly type: 'streamPrioritization';
  /** Flags bit 0: Mandatory. */
  readonly records: readonly { readonly streamNumber: number; readonly flags: number }[];
}

/** Bandwidth Sharing (asf.md 4.2). @public */
export interface BandwidthSharing {
  readonly type: 'bandwidthSharing';
  readonly sharingType: string;
  readonly dataBitrate: number;
  readonly bufferSize: number;
  readonly streamNumbers: readonly number[];
}

/** Language List (asf.md 4.3): RFC 1766 tags; indexes elsewhere count from 0. @public */
export interface LanguageList {
  readonly type: 'languageList';
  readonly languages: readonly string[];
}

/** @public */
export interface MetadataRecord {
  /** Index into the Language List; 0 in Metadata. */
  readonly languageIndex: number;
  /** 0: the whole file. */
  readonly streamNumber: number;
  readonly name: string;
  readonly value: AttributeValue;
}

/** Metadata and Metadata Library (asf.md 4.4). @public */
export interface Metadata {
  readonly type: 'metadata' | 'metadataLibrary';
  readonly records: readonly MetadataRecord[];
}

/** @public */
export interface IndexSpecifier {
  readonly streamNumber: number;
  /** 1 nearest past data packet, 2 nearest past media object, 3 nearest past cleanpoint. */
  readonly indexType: number;
}

/** The three kinds of Index Parameters (asf.md 4.5). @public */
export interface IndexParameters {
  readonly type: 'indexParameters' | 'mediaObjectIndexParameters' | 'timecodeIndexParameters';
  /** Milliseconds, or objects for the Media Object Index. */
  readonly interval: number;
  readonly specifiers: readonly IndexSpecifier[];
}

/** Compatibility (asf.md 4.6). @public */
export interface Compatibility {
  readonly type: 'compatibility';
  readonly profile: number;
  readonly mode: number;
}

/** @public */
export interface ContentEncryptionRecord {
  readonly systemId: string;
  readonly systemVersion: number;
  readonly objects: readonly { readonly idType: number; readonly id: Buffer }[];
  readonly data: Buffer;
}

/** Advanced Content Encryption (asf.md 4.7), always passed through. @public */
export interface AdvancedContentEncryption {
  readonly type: 'advancedContentEncryption';
  readonly records: readonly ContentEncryptionRecord[];
}

/** An object that is unknown or too damaged to read: kept byte for byte, its 24-byte head included. @public */
export interface UnknownObject {
  readonly type: 'unknown';
  readonly guid: string;
  readonly bytes: Buffer;
}

/** @public */
export type HeaderObject =
  | FileProperties
  | StreamPropertiesObject
  | HeaderExtension
  | CodecList
  | ScriptCommand
  | Marker
  | MutualExclusion
  | ErrorCorrection
  | ContentDescription
  | ExtendedContentDescription
  | StreamBitrateProperties
  | ContentBranding
  | ContentEncryption
  | ExtendedContentEncryption
  | DigitalSignature
  | Padding
  | ExtendedStreamProperties
  | GroupMutualExclusion
  | StreamPrioritization
  | BandwidthSharing
  | LanguageList
  | Metadata
  | IndexParameters
  | Compatibility
  | AdvancedContentEncryption
  | UnknownObject;
