import { randomBytes } from 'node:crypto';
import { AsfError } from './error.js';

/** Maps each key of {@link GUID} to its text and its name in the ASF specification. @public */
export const guidTable = {
  headerObject: ['75B22630-668E-11CF-A6D9-00AA0062CE6C', 'ASF_Header_Object'],
  dataObject: ['75B22636-668E-11CF-A6D9-00AA0062CE6C', 'ASF_Data_Object'],
  simpleIndexObject: ['33000890-E5B1-11CF-89F4-00A0C90349CB', 'ASF_Simple_Index_Object'],
  indexObject: ['D6E229D3-35DA-11D1-9034-00A0C90349BE', 'ASF_Index_Object'],
  mediaObjectIndexObject: ['FEB103F8-12AD-4C64-840F-2A1D2F7AD48C', 'ASF_Media_Object_Index_Object'],
  timecodeIndexObject: ['3CB73FD0-0C4A-4803-953D-EDF7B6228F0C', 'ASF_Timecode_Index_Object'],
  filePropertiesObject: ['8CABDCA1-A947-11CF-8EE4-00C00C205365', 'ASF_File_Properties_Object'],
  streamPropertiesObject: ['B7DC0791-A9B7-11CF-8EE6-00C00C205365', 'ASF_Stream_Properties_Object'],
  headerExtensionObject: ['5FBF03B5-A92E-11CF-8EE3-00C00C205365', 'ASF_Header_Extension_Object'],
  codecListObject: ['86D15240-311D-11D0-A3A4-00A0C90348F6', 'ASF_Codec_List_Object'],
  scriptCommandObject: ['1EFB1A30-0B62-11D0-A39B-00A0C90348F6', 'ASF_Script_Command_Object'],
  markerObject: ['F487CD01-A951-11CF-8EE6-00C00C205365', 'ASF_Marker_Object'],
  bitrateMutualExclusionObject: ['D6E229DC-35DA-11D1-9034-00A0C90349BE', 'ASF_Bitrate_Mutual_Exclusion_Object'],
  errorCorrectionObject: ['75B22635-668E-11CF-A6D9-00AA0062CE6C', 'ASF_Error_Correction_Object'],
  contentDescriptionObject: ['75B22633-668E-11CF-A6D9-00AA0062CE6C', 'ASF_Content_Description_Object'],
  extendedContentDescriptionObject: ['D2D0A440-E307-11D2-97F0-00A0C95EA850', 'ASF_Extended_Content_Description_Object'],
  streamBitratePropertiesObject: ['7BF875CE-468D-11D1-8D82-006097C9A2B2', 'ASF_Stream_Bitrate_Properties_Object'],
  contentBrandingObject: ['2211B3FA-BD23-11D2-B4B7-00A0C955FC6E', 'ASF_Content_Branding_Object'],
  contentEncryptionObject: ['2211B3FB-BD23-11D2-B4B7-00A0C955FC6E', 'ASF_Content_Encryption_Object'],
  extendedContentEncryptionObject: ['298AE614-2622-4C17-B935-DAE07EE9289C', 'ASF_Extended_Content_Encryption_Object'],
  digitalSignatureObject: ['2211B3FC-BD23-11D2-B4B7-00A0C955FC6E', 'ASF_Digital_Signature_Object'],
  paddingObject: ['1806D474-CADF-4509-A4BA-9AABCB96AAE8', 'ASF_Padding_Object'],
  extendedStreamPropertiesObject: ['14E6A5CB-C672-4332-8399-A96952065B5A', 'ASF_Extended_Stream_Properties_Object'],
  advancedMutualExclusionObject: ['A08649CF-4775-4670-8A16-6E35357566CD', 'ASF_Advanced_Mutual_Exclusion_Object'],
  groupMutualExclusionObject: ['D1465A40-5A79-4338-B71B-E36B8FD6C249', 'ASF_Group_Mutual_Exclusion_Object'],
  streamPrioritizationObject: ['D4FED15B-88D3-454F-81F0-ED5C45999E24', 'ASF_Stream_Prioritization_Object'],
  bandwidthSharingObject: ['A69609E6-517B-11D2-B6AF-00C04FD908E9', 'ASF_Bandwidth_Sharing_Object'],
  languageListObject: ['7C4346A9-EFE0-4BFC-B229-393EDE415C85', 'ASF_Language_List_Object'],
  metadataObject: ['C5F8CBEA-5BAF-4877-8467-AA8C44FA4CCA', 'ASF_Metadata_Object'],
  metadataLibraryObject: ['44231C94-9498-49D1-A141-1D134E457054', 'ASF_Metadata_Library_Object'],
  indexParametersObject: ['D6E229DF-35DA-11D1-9034-00A0C90349BE', 'ASF_Index_Parameters_Object'],
  mediaObjectIndexParametersObject: [
    '6B203BAD-3F11-48E4-ACA8-D7613DE2CFA7',
    'ASF_Media_Object_Index_Parameters_Object',
  ],
  timecodeIndexParametersObject: ['F55E496D-9797-4B5D-8C8B-604DFE9BFB24', 'ASF_Timecode_Index_Parameters_Object'],
  compatibilityObject: ['26F18B5D-4584-47EC-9F5F-0E651F0452C9', 'ASF_Compatibility_Object'],
  advancedContentEncryptionObject: ['43058533-6981-49E6-9B74-AD12CB86D58C', 'ASF_Advanced_Content_Encryption_Object'],
  indexPlaceholderObject: ['D9AADE20-7C17-4F9C-BC28-8555DD98E2A2', 'Index Placeholder Object'],
  protectionSystemIdentifier: ['9A04F079-9840-4286-AB92-E65BE0885F95', 'Protection System Identifier'],
  audioMedia: ['F8699E40-5B4D-11CF-A8FD-00805F5C442B', 'ASF_Audio_Media'],
  videoMedia: ['BC19EFC0-5B4D-11CF-A8FD-00805F5C442B', 'ASF_Video_Media'],
  commandMedia: ['59DACFC0-59E6-11D0-A3AC-00A0C90348F6', 'ASF_Command_Media'],
  jfifMedia: ['B61BE100-5B4E-11CF-A8FD-00805F5C442B', 'ASF_JFIF_Media'],
  degradableJPEGMedia: ['35907DE0-E415-11CF-A917-00805F5C442B', 'ASF_Degradable_JPEG_Media'],
  fileTransferMedia: ['91BD222C-F21C-497A-8B6D-5AA86BFC0185', 'ASF_File_Transfer_Media'],
  binaryMedia: ['3AFB65E2-47EF-40F2-AC2C-70A90D71D343', 'ASF_Binary_Media'],
  webStreamMediaSubtype: ['776257D4-C627-41CB-8F81-7AC7FF1C40CC', 'ASF_Web_Stream_Media_Subtype'],
  webStreamFormat: ['DA1E6B13-8359-4050-B398-388E965BF00C', 'ASF_Web_Stream_Format'],
  noErrorCorrection: ['20FB5700-5B55-11CF-A8FD-00805F5C442B', 'ASF_No_Error_Correction'],
  audioSpread: ['BFC3CD50-618F-11CF-8BB2-00AA00B4E220', 'ASF_Audio_Spread'],
  legacyAcmErrorCorrection: ['49F1A440-4ECE-11D0-A3AC-00A0C90348F6', 'legacy ACM error correction'],
  reserved1: ['ABD3D211-A9BA-11CF-8EE6-00C00C205365', 'ASF_Reserved_1'],
  reserved2: ['86D15241-311D-11D0-A3A4-00A0C90348F6', 'ASF_Reserved_2'],
  reserved3: ['4B1ACBE3-100B-11D0-A39B-00A0C90348F6', 'ASF_Reserved_3'],
  reserved4: ['4CFEDB20-75F6-11CF-9C0F-00A0C90349CB', 'ASF_Reserved_4'],
  drmNetworkDevices: [
    '7A079BB6-DAA4-4E12-A5CA-91D38DC11A8D',
    'ASF_Content_Encryption_System_Windows_Media_DRM_Network_Devices',
  ],
  mutexLanguage: ['D6E22A00-35DA-11D1-9034-00A0C90349BE', 'ASF_Mutex_Language'],
  mutexBitrate: ['D6E22A01-35DA-11D1-9034-00A0C90349BE', 'ASF_Mutex_Bitrate'],
  mutexUnknown: ['D6E22A02-35DA-11D1-9034-00A0C90349BE', 'ASF_Mutex_Unknown'],
  sdkMutexUnknown: ['D6E22A03-35DA-11D1-9034-00A0C90349BE', 'CLSID_WMMUTEX_Unknown'],
  bandwidthSharingExclusive: ['AF6060AA-5197-11D2-B6AF-00C04FD908E9', 'ASF_Bandwidth_Sharing_Exclusive'],
  bandwidthSharingPartial: ['AF6060AB-5197-11D2-B6AF-00C04FD908E9', 'ASF_Bandwidth_Sharing_Partial'],
  extensionTimecode: ['399595EC-8667-4E2D-8FDB-98814CE76C1E', 'ASF_Payload_Extension_System_Timecode'],
  extensionFileName: ['E165EC0E-19ED-45D7-B4A7-25CBD1E28E9B', 'ASF_Payload_Extension_System_File_Name'],
  extensionContentType: ['D590DC20-07BC-436C-9CF7-F3BBFBF1A4DC', 'ASF_Payload_Extension_System_Content_Type'],
  extensionPixelAspectRatio: [
    '1B1EE554-F9EA-4BC8-821A-376B74E4C4B8',
    'ASF_Payload_Extension_System_Pixel_Aspect_Ratio',
  ],
  extensionSampleDuration: ['C6BD9450-867F-4907-83A3-C77921B733AD', 'ASF_Payload_Extension_System_Sample_Duration'],
  extensionEncryptionSampleID: [
    '6698B84E-0AFA-4330-AEB2-1C0A98D7A44D',
    'ASF_Payload_Extension_System_Encryption_Sample_ID',
  ],
  extensionDegradableJPEG: ['00E1AF06-7BEC-11D1-A582-00C04FC29CFB', 'ASF_Payload_Extension_System_Degradable_JPEG'],
  sampleExtensionOutputCleanPoint: ['F72A3C6F-6EB4-4EBC-B192-09AD9759E828', 'sample extension Output Clean Point'],
  sampleExtensionChromaLocation: ['4C5ACCA0-9276-4B2C-9E4C-A0EDEFDD217E', 'sample extension Chroma Location'],
  sampleExtensionColorSpaceInfo: ['F79ADA56-30EB-4F2B-9F7A-F24B139A1157', 'sample extension Color Space Info'],
  sampleExtensionUserDataInfo: ['732BB4FA-78BE-4549-99BD-02DB1A55B7A8', 'sample extension User Data Info'],
  sampleExtensionSampleProtectionSalt: [
    '5403DEEE-B9EE-438F-AA83-3804997E569D',
    'sample extension Sample Protection Salt',
  ],
  sampleExtensionEncryptionKeyId: ['76376591-795F-4DA1-86ED-9D46ECA10949', 'sample extension Encryption Key ID'],
  dvrMsTiming: ['FD3CC02A-06DB-4CFA-801C-7212D38745E4', 'DVR-MS timing extension'],
  dvrMsVideoFrame: ['DD6432CC-E229-40DB-80F6-D26328D2761F', 'DVR-MS video frame extension'],
  dvrMsTimeStamp: ['1135BEB7-3A39-478A-98D9-15C76B00EB69', 'DVR-MS time stamp extension'],
  dvrMsEmbeddedAudio: ['31178C9D-03E1-4528-B582-3DF9DB22F503', 'DVR-MS embedded audio major type'],
  scriptMediaType: ['73636D64-0000-0010-8000-00AA00389B71', 'WMMEDIATYPE_Script'],
  imageMediaType: ['34A50FD8-8AA5-4386-81FE-A0EFE0488E31', 'WMMEDIATYPE_Image'],
  fileTransferMediaType: ['D9E47579-930E-4427-ADFC-AD80F290E470', 'WMMEDIATYPE_FileTransfer'],
  textMediaType: ['9BBA1EA7-5AB2-4829-BA57-0940209BCF3E', 'WMMEDIATYPE_Text'],
  twoStringsScript: ['82F38A70-C29F-11D1-97AD-00A0C95EA850', 'WMSCRIPTTYPE_TwoStrings'],
  none: ['00000000-0000-0000-0000-000000000000', 'GUID_NULL'],
} as const satisfies Record<string, readonly [text: string, name: string]>;

/** Position of each byte of the raw form in the text form: the first three groups are little-endian (asf.md 1). */
const textOrder = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15] as const;

const reorder = (hex: string): string => textOrder.map((index) => hex.slice(index * 2, index * 2 + 2)).join('');

/**
 * Converts the text form of a GUID, in either case and with or without braces and dashes, to the raw form.
 * @returns 32 lower-case hex characters, the 16 bytes in file order
 * @throws AsfError if the text is not a GUID
 * @public
 */
export function guidFromString(text: string): string {
  const hex = text.replace(/[{}-]/g, '').toLowerCase();
  if (!/^[0-9a-f]{32}$/.test(hex)) throw new AsfError(`"${text.slice(0, 60)}" is not a GUID.`);
  return reorder(hex);
}

/**
 * Converts 32 raw hex characters to the text form `AABBCCDD-EEFF-GGHH-IIJJ-KKLLMMNNOOPP` (upper case, no braces).
 *
 * @public
 */
export function guidToString(raw: string): string {
  const hex = reorder(raw).toUpperCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** The GUIDs of the container by name, as 32 lower-case hex characters of the raw 16 bytes in file order. @public */
export const GUID = Object.fromEntries(
  Object.entries(guidTable).map(([key, [text]]) => [key, guidFromString(text)]),
) as {
  readonly [key in keyof typeof guidTable]: string;
};

const names: ReadonlyMap<string, string> = new Map(
  Object.values(guidTable).map(([text, name]) => [guidFromString(text), name]),
);

/** Returns the specification's name of a raw GUID (`ASF_Header_Object`), or undefined if it is unknown. @public */
export function guidName(raw: string): string | undefined {
  return names.get(raw);
}

/** Returns a new random GUID (version 4) in raw form, for File IDs. @public */
export function randomGuid(): string {
  const bytes = randomBytes(16);
  // Version and variant are in bytes 7 and 8 of the file order, because the third group is little-endian.
  bytes[7] = (bytes[7]! & 0x0f) | 0x40;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex');
}
