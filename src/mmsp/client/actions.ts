import type * as client from '../messages/client.js';

/** What a session wants done, or reports, in order. */
export type ClientAction =
  | { readonly type: 'send'; readonly message: Buffer }
  /** A datagram to the UDP port of the server. */
  | { readonly type: 'datagram'; readonly bytes: Buffer }
  /** The server wants a login: `MmspClientSession.respond` answers it. */
  | { readonly type: 'challenge'; readonly token: Buffer }
  /** The connection is to be closed, and another one made (MS-MMSP 3.1.5.7). */
  | { readonly type: 'redirect'; readonly location: string; readonly proxy: boolean }
  /** The file is open and its header is there. */
  | { readonly type: 'opened' }
  /** Another playlist entry begins; `MmspClientSession.nextEntry` asks for it. */
  | { readonly type: 'change'; readonly header: Buffer }
  /** An ASF data packet. */
  | { readonly type: 'packet'; readonly bytes: Buffer; readonly location: number }
  /** The last entry has ended. @property hr the server's reason; a failure has its top bit set */
  | { readonly type: 'ended'; readonly hr: number }
  /** The server has stopped as it was asked to. */
  | { readonly type: 'stopped' }
  | { readonly type: 'note'; readonly text: string };

/** What to play, and how (2.2.4.25, 2.2.4.26). */
export interface PlayOrder extends client.StartPlace {
  /** All streams of the header, by number, and whether they are wanted. */
  readonly streams: ReadonlyMap<number, boolean>;
  /** 1, or for StartStriding another rate from -5 to 5. */
  readonly rate: number;
  /** In ms of content from the start; undefined for all. */
  readonly lasting?: number | undefined;
  /** A multiple of the bit rate at which content on demand is wanted. */
  readonly speed: number;
}

/** How a client identifies itself, and what it asks for. */
export interface ClientSessionOptions {
  /** subscriberName: the client's product and GUID (2.2.4.17). */
  readonly subscriber: string;
  /** host:port of the server, if the connection goes to a proxy, or comes from one. */
  readonly host?: string | undefined;
  /** The proxies that the request came through. */
  readonly via?: string | undefined;
  readonly fileName: string;
  /** For messages. */
  readonly href: string;
  /** Where Data packets are wanted; the port is a made-up one for TCP. */
  readonly funnel: client.Funnel;
  /** True to have the server measure the bandwidth. */
  readonly packetPair: boolean;
  /** Makes the report of what was received; undefined for none. */
  readonly buildLog: (openFileId: number) => Buffer | undefined;
}

/** The states of a client, in their usual order. */
export type ClientState = 'greeting' | 'opening' | 'header' | 'ready' | 'starting' | 'streaming' | 'stopping';

/** Bits per second; more than any link gives. */
const LINK_BANDWIDTH = 0x7fff_ffff;
const WHOLE_CONTENT = 0x7fff_ffff;

/**
 * Returns the fields of a StartPlaying that ask for content faster than in real time (2.2.4.25); none for a speed of 1.
 *
 * @param bitRate of the content, bits per second
 */
export function accelerationOf(speed: number, bitRate: number) {
  if (speed <= 1) return {};
  const bitsPerSecond = Math.min(LINK_BANDWIDTH, Math.round(speed * bitRate));
  return { acceleration: { bitsPerSecond, milliseconds: WHOLE_CONTENT }, linkBandwidth: LINK_BANDWIDTH };
}
