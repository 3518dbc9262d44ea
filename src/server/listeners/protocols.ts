import type { Socket } from 'node:net';
import type { Admission } from '../../http/admission.js';
import type { ProxyOptions } from '../../http/peer.js';
import type { DatagramSender } from '../../media/datagrams.js';
import { MMSP_FAULTS } from '../../mmsp/server/fault-frames.js';
import { MSBD_FAULTS } from '../../msbd/server/fault-frames.js';
import type { Entrance } from '../../playback/entrance.js';
import type { Playback } from '../../playback/host.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { SessionIds } from '../../playback/session-ids.js';
import { RTSP_FAULTS } from '../../rtsp/server/fault-frames.js';
import type { Elsewhere } from '../../rtsp/server/host.js';
import type { FaultyProtocol } from '../../testing/frame-codec.js';
import type { Injected } from '../../testing/injected.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';
import type { ServerConfig } from '../config.js';
import { mmspLog, RTSP_EVENT, rtspLog } from '../logs/received.js';
import type { PublishingPoints } from '../points/points.js';
import type { Proxying } from '../proxying.js';
import type { Given, Listener } from './listener.js';
import { MmspListener, type MmspListenerOptions } from './mmsp.js';
import { MsbdListener, PointChannels } from './msbd.js';
import type { Multicasts } from './multicast.js';
import { RtspListener } from './rtsp.js';

/** The parts of a server that its protocols share. */
export interface ProtocolHost {
  readonly config: ServerConfig;
  readonly points: PublishingPoints;
  readonly entrance: Entrance;
  readonly playback: Playback;
  readonly registry: SessionRegistry;
  readonly admission: Admission;
  readonly proxies: ProxyOptions | undefined;
  /** Where requests for other servers lead; undefined without a proxy. */
  readonly targets: Pick<Proxying, 'mmsTarget' | 'rtspTarget'> | undefined;
  readonly multicasts: Multicasts;
  readonly ids: SessionIds;
  /** In a worker: what the main process gives it. */
  readonly part?: Given | undefined;
  /** The sessions of RTSP that other processes or hosts have. */
  readonly rtspElsewhere: Elsewhere | undefined;
  /** Takes datagrams of MMSP about clients that are not connected here, unless `part` does. */
  readonly onStranger?: MmspListenerOptions['onStranger'];
  /** Faults that tests inject. */
  readonly faults: Injected | undefined;
  readonly onLog: (log: SubmittedLog) => void;
  /** Called with events that players report while they play. */
  readonly onEvent: (path: string, body: string) => void;
  /** Called with errors that no operator can fix. */
  readonly onInternalError: (error: unknown) => void;
  readonly onError: (error: unknown) => void;
}

/** Builds the listeners of the protocols that have a port of their own: MSBD, MMSP and RTSP. */
export function protocolListeners(host: ProtocolHost): Listener[] {
  const { config, points, entrance, multicasts, ids, part, onLog, onEvent, targets } = host;
  const { admission, proxies, playback, registry, faults, onError, onInternalError } = host;
  const faulty = (protocol: FaultyProtocol) => ({
    onSocket: faults && ((socket: Socket) => faults.other(socket, protocol)),
    onDatagrams: faults && ((sender: DatagramSender) => faults.datagrams(sender, protocol)),
  });
  const shared = { admission, proxies, host: config.host, registry };
  const { msbd, mms, rtsp } = config;
  const channels = new PointChannels(points, entrance, msbd.netShow);
  return [
    new MsbdListener({
      ...shared,
      onSocket: faulty(MSBD_FAULTS).onSocket,
      port: msbd.port ?? 'none',
      multicast: msbd.multicast && { ...msbd.multicast, address: msbd.multicast.group },
      content: channels,
      pathOf: (broadcast, channel) => channels.pathOf(broadcast, channel),
      inNsc: (broadcast) => multicasts.has(broadcast),
      onError: onInternalError,
    }),
    new MmspListener({
      ...shared,
      ...faulty(MMSP_FAULTS),
      port: mms.port,
      targetOf: targets && ((path, target) => targets.mmsTarget(path, target)),
      given: part,
      newId: () => ids.random(1, 2 ** 32),
      onStranger: host.onStranger,
      version: SERVER_NAME.slice(SERVER_NAME.indexOf('/') + 1),
      entrance,
      playback,
      onLog: (...log) => onLog(mmspLog(...log)),
      onError,
    }),
    new RtspListener({
      ...shared,
      ...faulty(RTSP_FAULTS),
      port: rtsp.port,
      targetOf: targets && ((path, url) => targets.rtspTarget(path, url)),
      given: part,
      newId: () => ids.long().toString(),
      elsewhere: host.rtspElsewhere,
      rtpPort: rtsp.rtpPort,
      fec: rtsp.fec,
      entrance,
      playback,
      onLog: (path, remoteAddress, client, kind, body, peer) => {
        if (kind === RTSP_EVENT) onEvent(path, body.toString('utf8'));
        else onLog(rtspLog(path, remoteAddress, client, kind, body, peer));
      },
      onError,
    }),
  ];
}
