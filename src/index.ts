/** The library: the same functions that the commands are made of. */

export {
  type AsxAbout,
  type AsxEntry,
  type AsxEntryRef,
  type AsxEvent,
  type AsxOptions,
  buildAsx,
} from './announce/asx.js';
export { type Metafile, type MetafileEntry, type MetafileEvent, readMetafile } from './announce/asx-read.js';
export { type ExpandOptions, expandMetafile } from './announce/expand.js';
export { buildM3u, type M3uEntry, readM3u } from './announce/m3u.js';
export { buildNsc, type NscFile, type NscFormat, parseNsc } from './announce/nsc.js';
export * from './asf/index.js';
export {
  ClientAuthenticator,
  type ClientAuthenticatorOptions,
  type HttpAuthenticator,
} from './auth/client.js';
export { type FfmpegCandidate, type FfmpegInfo, findFfmpeg, inspectFfmpegs } from './capture/find.js';
export type { CaptureMetadata, CaptureOptions } from './capture/options.js';
export { CaptureSource, type CaptureSourceOptions } from './capture/source.js';
export { type ErrorCode, errorTable, WmError } from './errors.js';
export type { TlsTrust } from './http/connection.js';
export type { Credentials as UserCredentials } from './http/credentials.js';
export { type ArchiveOptions, ArchiveSink } from './media/archive.js';
export { Broadcast, type BroadcastCounters, type BroadcastOptions } from './media/broadcast.js';
export { DatagramOutput, type DatagramOutputOptions, DatagramPacer, type DatagramSender } from './media/datagrams.js';
export type { AsfEvent, AsfSink, AsfSource, EndEvent, HeaderEvent, PacketEvent } from './media/events.js';
export { type FileSourceOptions, fileSource } from './media/file-source.js';
export type { Player } from './media/group.js';
export { pump } from './media/pump.js';
export type { ReconnectPolicy, ReconnectReport } from './media/reconnect.js';
export { Sequence, type SequenceOptions } from './media/sequence.js';
export { Timeline, type TimelineOptions } from './media/timeline.js';
export type {
  LaneChoice,
  PlayerOutput,
  PlayerSession,
  WireBatch,
  WireFormat,
  WirePacket,
} from './media/wire.js';
export { MsbClient, type MsbClientOptions, type MsbDescription } from './msb/client.js';
export { type OpenNscOptions, openNsc } from './msb/open-nsc.js';
export { MulticastReceiver, type MulticastReceiverOptions } from './msb/receiver.js';
export { type MulticastOptions, MulticastSender, type MulticastStats } from './msb/sender.js';
export { MsbdClient, type MsbdClientOptions, type MsbdClientStats, type MsbdDescription } from './msbd/client.js';
export { MsbdServer } from './msbd/server.js';
export type { MsbdContent, MsbdServerOptions } from './msbd/server-options.js';
export type { SessionInfo, SessionReport } from './playback/registry.js';
export { defaultConfig, parseConfig, readConfig, type ServerConfig } from './server/config.js';
export type { ServerPorts } from './server/listener.js';
export type { PointEvent } from './server/points.js';
export { MediaServer, type ServerEvents, type ServerStats } from './server/server.js';
export { PushClient, type PushOptions, type PushStats } from './wmhttp/client.js';
export {
  ReconnectingPush,
  type ReconnectingPushOptions,
  type ReconnectingPushStats,
  type ResumeReport,
} from './wmhttp/reconnecting-push.js';
export {
  WmspClient,
  type WmspClientOptions,
  type WmspClientStats,
  type WmspDescription,
} from './wmsp/client.js';
export { CookieJar } from './wmsp/client-cookies.js';
export type { SubmittedLog } from './wmsp/server.js';
