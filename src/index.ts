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
export type { Command as ScriptCommand } from './asf/command.js';
export * from './asf/index.js';
export type { ScriptCommand as ScriptCommandObject } from './asf/objects.js';
export type { Rule } from './auth/access.js';
export {
  ClientAuthenticator,
  type ClientAuthenticatorOptions,
  type ClientChallenge,
  type HttpAuthenticator,
  type SignedRequest,
} from './auth/client.js';
export type { Scheme as AuthenticationScheme } from './auth/dialog.js';
export {
  type EncoderName,
  type FfmpegCandidate,
  type FfmpegInfo,
  type FindFfmpegOptions,
  findFfmpeg,
  inspectFfmpegs,
  type WindowsMediaEncoder,
  windowsMediaEncoders,
} from './capture/find.js';
export type { LogLevel, LogLine } from './capture/log.js';
export type {
  CaptureMetadata,
  CaptureOptions,
  VideoEncoder,
} from './capture/options.js';
export type { PictureFacts, Size as PictureSize } from './capture/picture.js';
export type { FfmpegOrigin, FfmpegPackage } from './capture/places.js';
export { type Profile, type ProfileSettings, profiles } from './capture/profiles.js';
export type { AudioEncoder, Sound, SoundOptions } from './capture/sound.js';
export { CaptureSource, type CaptureSourceOptions, type Encoding } from './capture/source.js';
export { type ErrorCode, errorTable, WmError, type WmErrorOptions } from './errors.js';
export type { Field as HeaderField, HeaderFields } from './framing/text-head.js';
export type { AddressGuard } from './http/address-guard.js';
export type { AddressList } from './http/address-list.js';
export type { Admission, AdmissionOptions } from './http/admission.js';
export type { ClientResponse, ConnectOptions, HttpClient, SendOptions, StreamedResponse } from './http/client.js';
export type { Endpoint, TlsTrust } from './http/connection.js';
export { CookieJar, type CookieUrl } from './http/cookie-jar.js';
export type { Cookie } from './http/cookies.js';
export type { Credentials as UserCredentials } from './http/credentials.js';
export type { FetchOptions } from './http/fetch.js';
export type { HttpUrl } from './http/http-url.js';
export type { ResponseHead } from './http/message.js';
export type { ProxyOptions } from './http/peer.js';
export type { BodyFlow, ResponseBody } from './http/response-body.js';
export { AdminClient, type AdminClientOptions, AdminError } from './library/admin-client.js';
export type {
  AdminArchive,
  AdminLogLine,
  AdminLogTail,
  AdminNode,
  AdminPoint,
  AdminProcess,
  AdminPublisher,
  AdminSession,
  AdminSessionLog,
  AdminStatus,
  AdminStream,
} from './library/admin-types.js';
export { type PullCallOptions, type PullHandle, type PullResult, probe, pull } from './library/pull.js';
export { type PushCallOptions, type PushHandle, type PushResult, push } from './library/push.js';
export { type ServedHandle, type ServeOptions, serve } from './library/serve.js';
export { type ArchivedFile, type ArchiveFile, type ArchiveOptions, ArchiveSink } from './media/archive.js';
export { Broadcast, type BroadcastCounters, type BroadcastOptions } from './media/broadcast.js';
export type { Follower, JoinOptions, Release as ReleaseHeader } from './media/broadcast-options.js';
export {
  DatagramOutput,
  type DatagramOutputOptions,
  DatagramPacer,
  type DatagramSender,
  type SendDone,
  type TickClock,
} from './media/datagrams.js';
export type { Delivery as LaneDelivery, LaneLimits, Moment } from './media/delivery.js';
export type { AsfEvent, AsfSink, AsfSource, EndEvent, HeaderEvent, PacketEvent } from './media/events.js';
export { type FileSourceOptions, fileSource } from './media/file-source.js';
export type { Group as BroadcastGroup, Player } from './media/group.js';
export type { Lane } from './media/lane.js';
export { LimitedArchive, type LimitedArchiveOptions, type RecordingLimits } from './media/limited-archive.js';
export type { Clock as PacingClock } from './media/pacing.js';
export type { BroadcastRun } from './media/past-runs.js';
export {
  Playlist,
  type PlaylistCursor,
  type PlaylistEntry,
  type PlaylistMedia,
  type PlaylistNode,
  type PlaylistSequence,
  type PlaylistSwitch,
  type Span as PlaylistSpan,
} from './media/playlist.js';
export {
  type OpenEntry,
  type OpenedEntry,
  Programme,
  type ProgrammeEntry,
  type ProgrammeOptions,
  type ProgrammeRound,
} from './media/programme.js';
export { pump } from './media/pump.js';
export type { ReconnectPolicy, ReconnectReport } from './media/reconnect.js';
export { Rundown, type RundownEntry, type RundownOptions, type RundownStatus } from './media/rundown.js';
export { ScriptedSource, type ScriptedSourceOptions, type TimedCommand } from './media/scripted-source.js';
export { Sequence, type SequenceOptions } from './media/sequence.js';
export { type StreamFigures, StreamStatistics } from './media/stream-statistics.js';
export { Timeline, type TimelineOptions } from './media/timeline.js';
export type {
  BroadcastPacket,
  FirstPacket,
  HeaderCause,
  LaneChoice,
  LaneEntry,
  PlayerOutput,
  PlayerSession,
  SentUnit,
  Wanted as WantedStreams,
  WireBatch,
  WireFormat,
  WireHead,
  WirePacket,
} from './media/wire.js';
export { MsbClient, type MsbClientOptions, type MsbDescription } from './msb/client/client.js';
export { type OpenNscOptions, openNsc } from './msb/client/open-nsc.js';
export { MulticastReceiver, type MulticastReceiverOptions } from './msb/client/receiver.js';
export type { ReceptionOptions, ReceptionStats } from './msb/client/reception.js';
export type { SessionOptions as MsbSessionOptions, SessionStats as MsbSessionStats } from './msb/client/session.js';
export type { GroupAddress, SendingOptions } from './msb/group-socket.js';
export { type MulticastOptions, MulticastSender, type MulticastStats } from './msb/server/sender.js';
export {
  MsbdClient,
  type MsbdClientOptions,
  type MsbdClientStats,
  type MsbdDescription,
} from './msbd/client/client.js';
export type { MsbdTimeouts } from './msbd/client/link.js';
export type { MsbdDelivery, MsbdGroup } from './msbd/messages/messages.js';
export type { MsbdContent, MsbdMulticast, MsbdPeer, MsbdServerOptions } from './msbd/server/options.js';
export { MsbdServer } from './msbd/server/server.js';
export type { ServerTimers } from './msbd/server/session.js';
export type { PathLimits } from './playback/limits.js';
export type {
  OtherSessions,
  ProxyClient,
  RunningSession,
  SessionContent,
  SessionCounts,
  SessionFacts,
  SessionFilter,
  SessionInfo,
  SessionList,
  SessionRegistry,
  SessionRegistryOptions,
  SessionReport,
  SessionRole,
} from './playback/registry.js';
export type { SessionHome, SessionIds, SessionIdsOptions } from './playback/session-ids.js';
export type { ProxyStats } from './proxy/content.js';
export type { PullClientOptions, PullDescription } from './receiving/client-options.js';
export type { PullChain } from './receiving/pull-chain.js';
export type { PullClient } from './receiving/pull-client.js';
export type { StreamWish } from './receiving/streams.js';
export type { RefusalKind } from './refusal.js';
export {
  RtspClient,
  type RtspClientOptions,
  type RtspClientStats,
  type RtspDescription,
  type RtspLinkParameters,
  type RtspTimeouts,
} from './rtsp/client/client.js';
export type { SdpFeature } from './rtsp/messages/sdp.js';
export type { TotalCounters } from './server/admin/totals.js';
export { configSchema, defaultConfig, type ServerConfig } from './server/config.js';
export { parseConfig, readConfig } from './server/config-file.js';
export type { ServerEvents } from './server/events.js';
export type { ServerPorts } from './server/listeners/listener.js';
export type { MulticastConfig } from './server/listeners/multicast.js';
export type { ArchiveLimits } from './server/points/archive-series.js';
export type {
  NewPointPolicy,
  PointEvent,
  PointFeeder,
  PointsOptions,
  PublisherCandidate,
  PublishingPoint,
  PublishingPoints,
} from './server/points/points.js';
export type { PointSettings } from './server/points/settings.js';
export type { ReloadReport } from './server/reload.js';
export type { StartOptions } from './server/reloader.js';
export { MediaServer } from './server/server.js';
export type { ServerStats } from './server/stats.js';
export type { ProcessView } from './server/workers/fleet.js';
export type { SourceDescription, SourceOptions } from './sources/source.js';
export type { Outcome as ExpectationOutcome } from './testing/expect.js';
export {
  type Expectation,
  type ExpectationKind,
  type ExpectationOperator,
  expectationTable,
  parseExpectations,
} from './testing/expect.js';
export {
  type Fault,
  type FaultHook,
  type FaultKind,
  type FaultName,
  type FaultPlan,
  faultTable,
  parseFaults,
} from './testing/fault-plan.js';
export { type MarkedObject, readMarkedObject } from './testing/marked-object.js';
export { faultySink, faultySource } from './testing/packet-faults.js';
export type { PacketLayout } from './testing/packetizer.js';
export { SYNTHETIC_AUDIO, type SyntheticOptions, SyntheticSource } from './testing/synthetic.js';
export { parseSynthetic } from './testing/synthetic-url.js';
export { PushClient, type PushOptions, type PushStats, type ResumablePush } from './wmhttp/client/client.js';
export type { PushBufferOptions } from './wmhttp/client/push-buffer.js';
export type { PushRoute, PushRouteOptions } from './wmhttp/client/push-route.js';
export {
  ReconnectingPush,
  type ReconnectingPushOptions,
  type ReconnectingPushStats,
  type ResumeReport,
} from './wmhttp/client/reconnecting-push.js';
export type { PushSessionState } from './wmhttp/client/session-actions.js';
export type { Publisher } from './wmhttp/server/push-gate.js';
export { BASIC_FIELDS, EXTENDED_FIELDS, type LogField, type LogValues } from './wmlog/fields.js';
export type { LogKind, WmLog } from './wmlog/log.js';
export type { SubmittedLog } from './wmlog/submitted.js';
export type { LogPair, VendorData } from './wmlog/xml.js';
export type { Description } from './wms/content-description.js';
export type { Feature as WmsFeature } from './wms/features.js';
export type { Relayed } from './wms/relayed.js';
export type { StartupParameters } from './wms/startup-profile.js';
export {
  WmspClient,
  type WmspClientOptions,
  type WmspClientStats,
  type WmspDescription,
} from './wmsp/client/client.js';
export type { WmspTimeouts } from './wmsp/client/link.js';
export type { ReceivedMetadata } from './wmsp/client/packets.js';
export type { ClientIdentity, ServerProduct } from './wmsp/client/product.js';
export type { LinkParameters } from './wmsp/client/requests.js';
export type { WmspUrl } from './wmsp/client/url.js';
