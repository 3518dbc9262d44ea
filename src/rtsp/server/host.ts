import type { Socket } from 'node:net';
import type { DatagramOutput } from '../../media/datagrams.js';
import type { Entrance } from '../../playback/entrance.js';
import type { Playback } from '../../playback/host.js';

/** The sessions of other processes of the same server. */
export interface Elsewhere {
  /** True if the id is of another process's session. */
  has(id: string): boolean;
  /**
   * Passes a connection to the process that has a session. Nothing may have been written to it that still waits.
   *
   * @param unread what was read of it and not answered
   */
  passOn(socket: Socket, unread: Buffer, id: string): void;
}

/** What connections and sessions need of their server. */
export interface RtspHost<Session> {
  readonly playback: Playback;
  readonly entrance: Pick<Entrance, 'enter'>;
  /** The UDP ports for RTP and RTCP; undefined while there are none. */
  readonly ports: readonly [rtp: number, rtcp: number] | undefined;
  /** Source packets of an FEC packet, in descriptions; 0 offers none. */
  readonly fecSpan: number;
  now(): number;
  /** The path of content that a URL names. @throws Refusal for one that no content can have */
  pathOf(url: string): string;
  /** Makes an output that sends RTP packets to a UDP port. @param address that a client's connection comes from */
  datagrams(address: string, port: number): DatagramOutput;
  /** Returns an id for a session that begins. */
  newId(): string;
  find(id: string): Session | undefined;
  /** Passes on connections whose session another process has. */
  readonly elsewhere: Elsewhere | undefined;
  /** Registers a session; its id and the SSRC of its retransmission stream find it from now on. */
  add(session: Session): void;
  /** The session has no connection from now on. */
  detached(session: Session): void;
  /** It has one again. */
  attached(session: Session): void;
  /** The session is over. */
  remove(session: Session): void;
  /** Something is sent from now on. */
  started(session: Session): void;
  /** Nothing is sent any more; may be called more than once. */
  stopped(session: Session): void;
  refused(path: string, remoteAddress: string, why: string): void;
  /**
   * @param kind the Content-Type, without parameters and in lower case
   * @param peer the session that the request names, if any
   */
  log(path: string, remoteAddress: string, client: string, kind: string, body: Buffer, peer: Session | undefined): void;
  failed(error: unknown): void;
}
