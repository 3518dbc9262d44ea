import { decodeAttribute, encodeAttribute } from './attribute.js';
import {
  blob,
  byte,
  type Codec,
  decodeText,
  dword,
  encodeText,
  guid,
  list,
  narrowText,
  qword,
  qwordNumber,
  readItems,
  rest,
  struct,
  text,
  textInCharacters,
  word,
} from './codec.js';
import { GUID } from './guid.js';
import type * as o from './objects.js';

/** The fields of an object: everything after its 24-byte head. */
type Fields<T extends o.HeaderObject> = Omit<T, 'type'>;

/** One kind of header object: its GUID, its name here, and the encoding of its fields. */
export interface ObjectKind {
  readonly guid: string;
  readonly type: o.HeaderObject['type'];
  readonly codec: Codec<o.HeaderObject>;
}

/** @param codec of the fields; the type is added and removed here */
export function kind<T extends o.HeaderObject>(
  guidOfKind: string,
  type: T['type'],
  codec: Codec<Fields<T>>,
): ObjectKind {
  return {
    guid: guidOfKind,
    type,
    codec: {
      read: (reader) => ({ type, ...codec.read(reader) }) as T,
      // The table is looked up by the object's type, so this is a T.
      write: (writer, object) => codec.write(writer, object as T),
    },
  };
}

const fileProperties: Codec<Fields<o.FileProperties>> = struct({
  fileId: guid,
  fileSize: qword,
  creationDate: qword,
  dataPacketsCount: qword,
  playDuration: qword,
  sendDuration: qword,
  preroll: qwordNumber,
  flags: dword,
  minimumPacketSize: dword,
  maximumPacketSize: dword,
  maximumBitrate: dword,
});

/** Both lengths precede both data fields. */
const streamProperties: Codec<Fields<o.StreamPropertiesObject>> = {
  read: (reader) => {
    const streamType = guid.read(reader);
    const errorCorrectionType = guid.read(reader);
    const timeOffset = qword.read(reader);
    const typeSpecificLength = dword.read(reader);
    const errorCorrectionLength = dword.read(reader);
    const flags = word.read(reader);
    const reserved = dword.read(reader);
    const typeSpecificData = reader.take(Math.min(typeSpecificLength, reader.remaining));
    const errorCorrectionData = reader.take(Math.min(errorCorrectionLength, reader.remaining));
    return { streamType, errorCorrectionType, timeOffset, flags, reserved, typeSpecificData, errorCorrectionData };
  },
  write: (writer, stream) => {
    guid.write(writer, stream.streamType);
    guid.write(writer, stream.errorCorrectionType);
    qword.write(writer, stream.timeOffset);
    dword.write(writer, stream.typeSpecificData.length);
    dword.write(writer, stream.errorCorrectionData.length);
    word.write(writer, stream.flags);
    dword.write(writer, stream.reserved);
    writer.put(stream.typeSpecificData);
    writer.put(stream.errorCorrectionData);
  },
};

const codecList: Codec<Fields<o.CodecList>> = struct({
  reserved: guid,
  entries: list(
    dword,
    struct<o.CodecEntry>({
      codecType: word,
      name: textInCharacters(word),
      description: textInCharacters(word),
      information: blob(word),
    }),
  ),
});

const commandType = textInCharacters(word);
const command = struct<o.ScriptCommandEntry>({
  presentationTime: dword,
  typeIndex: word,
  name: textInCharacters(word),
});

/** Both counts precede both lists. A command whose type does not exist is left out (asf.md 3.5). */
const scriptCommand: Codec<Fields<o.ScriptCommand>> = {
  read: (reader) => {
    const reserved = guid.read(reader);
    const commandCount = word.read(reader);
    const typeCount = word.read(reader);
    const commandTypes = readItems(reader, typeCount, commandType);
    const commands = readItems(reader, commandCount, command);
    return { reserved, commandTypes, commands: commands.filter((each) => each.typeIndex < commandTypes.length) };
  },
  write: (writer, { reserved, commandTypes, commands }) => {
    guid.write(writer, reserved);
    word.write(writer, commands.length);
    word.write(writer, commandTypes.length);
    for (const each of commandTypes) commandType.write(writer, each);
    for (const each of commands) command.write(writer, each);
  },
};

/** Entry Length counts Send Time, Flags, the description's length and the description. */
const markerEntry: Codec<o.MarkerEntry> = {
  read: (reader) => {
    const offset = qword.read(reader);
    const presentationTime = qword.read(reader);
    word.read(reader);
    const tail = struct({ sendTime: dword, flags: dword, description: textInCharacters(dword) }).read(reader);
    return { offset, presentationTime, ...tail };
  },
  write: (writer, entry) => {
    const description = encodeText(entry.description);
    qword.write(writer, entry.offset);
    qword.write(writer, entry.presentationTime);
    word.write(writer, 12 + description.length);
    dword.write(writer, entry.sendTime);
    dword.write(writer, entry.flags);
    dword.write(writer, description.length / 2);
    writer.put(description);
  },
};

const marker: Codec<Fields<o.Marker>> = {
  read: (reader) => {
    const reserved = guid.read(reader);
    const count = dword.read(reader);
    word.read(reader);
    const name = text(word).read(reader);
    return { reserved, name, markers: readItems(reader, count, markerEntry) };
  },
  write: (writer, { reserved, name, markers }) => {
    guid.write(writer, reserved);
    dword.write(writer, markers.length);
    word.write(writer, 0);
    text(word).write(writer, name);
    for (const each of markers) markerEntry.write(writer, each);
  },
};

const mutualExclusion: Codec<Fields<o.MutualExclusion>> = struct({
  exclusionType: guid,
  streamNumbers: list(word, word),
});

const DESCRIPTION_FIELDS = ['title', 'author', 'copyright', 'description', 'rating'] as const;

/** Five lengths, then five texts. */
const contentDescription: Codec<Fields<o.ContentDescription>> = {
  read: (reader) => {
    const lengths = DESCRIPTION_FIELDS.map(() => word.read(reader));
    const texts = lengths.map((length) => decodeText(reader.take(Math.min(length, reader.remaining))));
    const [title = '', author = '', copyright = '', description = '', rating = ''] = texts;
    return { title, author, copyright, description, rating };
  },
  write: (writer, object) => {
    const texts = DESCRIPTION_FIELDS.map((field) => encodeText(object[field]));
    for (const each of texts) word.write(writer, each.length);
    for (const each of texts) writer.put(each);
  },
};

const descriptor: Codec<o.ContentDescriptor> = {
  read: (reader) => {
    const name = text(word).read(reader);
    const dataType = word.read(reader);
    return { name, value: decodeAttribute(dataType, blob(word).read(reader), 4) };
  },
  write: (writer, { name, value }) => {
    const { dataType, bytes } = encodeAttribute(value, 4);
    text(word).write(writer, name);
    word.write(writer, dataType);
    blob(word).write(writer, bytes);
  },
};

/** The five fixed fields come first, then the name and the data (unlike in Extended Content Description). */
const metadataRecord: Codec<o.MetadataRecord> = {
  read: (reader) => {
    const languageIndex = word.read(reader);
    const streamNumber = word.read(reader);
    const nameLength = word.read(reader);
    const dataType = word.read(reader);
    const dataLength = dword.read(reader);
    const name = decodeText(reader.take(Math.min(nameLength, reader.remaining)));
    const data = reader.take(Math.min(dataLength, reader.remaining));
    return { languageIndex, streamNumber, name, value: decodeAttribute(dataType, data, 2) };
  },
  write: (writer, record) => {
    const name = encodeText(record.name);
    const { dataType, bytes } = encodeAttribute(record.value, 2);
    word.write(writer, record.languageIndex);
    word.write(writer, record.streamNumber);
    word.write(writer, name.length);
    word.write(writer, dataType);
    dword.write(writer, bytes.length);
    writer.put(name);
    writer.put(bytes);
  },
};

const metadata: Codec<Fields<o.Metadata>> = struct({ records: list(word, metadataRecord) });
const padding: Codec<Fields<o.Padding>> = struct({ data: rest });
const indexParameters: Codec<Fields<o.IndexParameters>> = struct({
  interval: dword,
  specifiers: list(word, struct<o.IndexSpecifier>({ streamNumber: word, indexType: word })),
});

const encryptionRecord: Codec<o.ContentEncryptionRecord> = struct({
  systemId: guid,
  systemVersion: dword,
  objects: list(word, struct<{ idType: number; id: Buffer }>({ idType: word, id: blob(word) })),
  data: blob(dword),
});

/** All kinds except Header Extension and Extended Stream Properties, which contain other objects. */
export const leafKinds: readonly ObjectKind[] = [
  kind<o.FileProperties>(GUID.filePropertiesObject, 'fileProperties', fileProperties),
  kind<o.StreamPropertiesObject>(GUID.streamPropertiesObject, 'streamProperties', streamProperties),
  kind<o.CodecList>(GUID.codecListObject, 'codecList', codecList),
  kind<o.ScriptCommand>(GUID.scriptCommandObject, 'scriptCommand', scriptCommand),
  kind<o.Marker>(GUID.markerObject, 'marker', marker),
  kind<o.MutualExclusion>(GUID.bitrateMutualExclusionObject, 'bitrateMutualExclusion', mutualExclusion),
  kind<o.MutualExclusion>(GUID.advancedMutualExclusionObject, 'advancedMutualExclusion', mutualExclusion),
  kind<o.ErrorCorrection>(
    GUID.errorCorrectionObject,
    'errorCorrection',
    struct({ errorCorrectionType: guid, data: blob(dword) }),
  ),
  kind<o.ContentDescription>(GUID.contentDescriptionObject, 'contentDescription', contentDescription),
  kind<o.ExtendedContentDescription>(
    GUID.extendedContentDescriptionObject,
    'extendedContentDescription',
    struct({ descriptors: list(word, descriptor) }),
  ),
  kind<o.StreamBitrateProperties>(
    GUID.streamBitratePropertiesObject,
    'streamBitrateProperties',
    struct({ records: list(word, struct<o.StreamBitrateRecord>({ flags: word, averageBitrate: dword })) }),
  ),
  kind<o.ContentBranding>(
    GUID.contentBrandingObject,
    'contentBranding',
    struct({
      bannerImageType: dword,
      bannerImage: blob(dword),
      bannerImageUrl: narrowText(dword),
      copyrightUrl: narrowText(dword),
    }),
  ),
  kind<o.ContentEncryption>(
    GUID.contentEncryptionObject,
    'contentEncryption',
    struct({
      secretData: blob(dword),
      protectionType: narrowText(dword),
      keyId: narrowText(dword),
      licenseUrl: narrowText(dword),
    }),
  ),
  kind<o.ExtendedContentEncryption>(
    GUID.extendedContentEncryptionObject,
    'extendedContentEncryption',
    struct({ data: blob(dword) }),
  ),
  kind<o.DigitalSignature>(
    GUID.digitalSignatureObject,
    'digitalSignature',
    struct({ signatureType: dword, data: blob(dword) }),
  ),
  kind<o.Padding>(GUID.paddingObject, 'padding', padding),
  kind<o.Padding>(GUID.indexPlaceholderObject, 'indexPlaceholder', padding),
  kind<o.GroupMutualExclusion>(
    GUID.groupMutualExclusionObject,
    'groupMutualExclusion',
    struct({ exclusionType: guid, groups: list(word, list(word, word)) }),
  ),
  kind<o.StreamPrioritization>(
    GUID.streamPrioritizationObject,
    'streamPrioritization',
    struct({
      records: list(word, struct<{ streamNumber: number; flags: number }>({ streamNumber: word, flags: word })),
    }),
  ),
  kind<o.BandwidthSharing>(
    GUID.bandwidthSharingObject,
    'bandwidthSharing',
    struct({ sharingType: guid, dataBitrate: dword, bufferSize: dword, streamNumbers: list(word, word) }),
  ),
  kind<o.LanguageList>(GUID.languageListObject, 'languageList', struct({ languages: list(word, text(byte)) })),
  kind<o.Metadata>(GUID.metadataObject, 'metadata', metadata),
  kind<o.Metadata>(GUID.metadataLibraryObject, 'metadataLibrary', metadata),
  kind<o.IndexParameters>(GUID.indexParametersObject, 'indexParameters', indexParameters),
  kind<o.IndexParameters>(GUID.mediaObjectIndexParametersObject, 'mediaObjectIndexParameters', indexParameters),
  kind<o.IndexParameters>(GUID.timecodeIndexParametersObject, 'timecodeIndexParameters', indexParameters),
  kind<o.Compatibility>(GUID.compatibilityObject, 'compatibility', struct({ profile: byte, mode: byte })),
  kind<o.AdvancedContentEncryption>(
    GUID.advancedContentEncryptionObject,
    'advancedContentEncryption',
    struct({ records: list(word, encryptionRecord) }),
  ),
];
