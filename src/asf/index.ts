/** The ASF container without I/O: headers, data packets, indexes, and operations on them. */

export {
  describeStreams,
  type LiveHeaderOptions,
  liveHeader,
  type StreamDescription,
  sameLayout,
} from './edit.js';
export { AsfError } from './error.js';
export { AsfFileBuilder, type AsfFileOptions } from './file.js';
export { filterPacket, startPacket, type ThinningLevel } from './filter.js';
export { GUID, guidFromString, guidName, guidTable, guidToString, randomGuid } from './guid.js';
export * from './header.js';
export { type KeyFrame, KeyFrameIndex } from './key-frame-index.js';
export { playerHeader } from './lean-header.js';
export * from './packet.js';
export { buildPacket, type PacketFields, type PayloadFields, packetFields } from './packet-build.js';
export { markLength, restorePadding, stripPadding } from './padding.js';
export { type AsfItem, AsfReader } from './reader.js';
export { type RebaseOptions, rebasePacket } from './rebase.js';
export * from './simple-index.js';
