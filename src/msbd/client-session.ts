import { WmError } from '../errors.js';
import { hexResult, isErrorResult } from '../hresult.js';
import { HR, MsbdError } from './base.js';
import {
  buildBare,
  buildConnectRequest,
  type ConnectResponse,
  type Delivery,
  type Group,
  type Message,
} from './messages.js';
import type { PacketMessage } from './packet.js';
import type { StreamInfo } from './stream-info.js';

/** The states of figure 2 of MS-MSBD, and the one before the connection. */
export type ClientState = 'closed' | 'waiting for RES_CONNECT' | 'receiving' | 'ended';

/** What a session wants done, or tells of, in order. */
export type ClientEvent =
  | { readonly type: 'send'; readonly bytes: Buffer }
  /** Packets come to this group. */
  | { readonly type: 'join'; readonly group: Group }
  /** The first stream, or another one. */
  | { readonly type: 'stream'; readonly info: StreamInfo }
  /** A packet of the present stream. */
  | { readonly type: 'packet'; readonly packet: PacketMessage }
  /** Nothing follows; the client closes the connection (4.1). */
  | { readonly type: 'end' };

export interface ClientSessionOptions {
  readonly delivery: Delivery;
  /** szChannel */
  readonly channel: string;
  /** What refusals are told of. */
  readonly url: string;
}

/** How long the server may take for the IND_STREAMINFO that follows RES_CONNECT until it is asked for one (2.2.5), ms. */
const ASK_AFTER = 3_000;
/** Datagrams of a stream may come before the IND_STREAMINFO that announces it, which goes another way. */
const MAX_EARLY = 64;
const NOTHING: readonly ClientEvent[] = [];

/** A session at the client (MS-MSBD 3.2), without sockets; times are in ms of any clock that only goes forward. */
export class ClientSession {
  readonly #options: ClientSessionOptions;
  #state: ClientState = 'closed';
  #info: StreamInfo | undefined;
  #askAt = Number.POSITIVE_INFINITY;
  #sawEnd = false;
  #early: PacketMessage[] = [];
  #strangers = 0;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** What the server said of the present stream. */
  get info(): StreamInfo | undefined {
    return this.#info;
  }

  /** Whether the end of the stream was announced, so that a close of the connection is no failure. */
  get sawEnd(): boolean {
    return this.#sawEnd;
  }

  /** Packets of other streams than the present one, which were left out (2.2.6, wStreamId). */
  get strangers(): number {
    return this.#strangers;
  }

  /** The connection is there (3.2.3). */
  connected(): readonly ClientEvent[] {
    const { delivery, channel } = this.#options;
    this.#state = 'waiting for RES_CONNECT';
    return [{ type: 'send', bytes: buildConnectRequest(delivery, channel) }];
  }

  /**
   * A packet came on the connection.
   *
   * @throws MsbdError for one that has no place there
   * @throws WmError when the server refuses: WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE, WM_PROTOCOL
   */
  receive(message: Message, now: number): readonly ClientEvent[] {
    if (this.#state === 'ended' || message.type === 'undefined') return NOTHING;
    if (message.type === 'RES_CONNECT') return this.#connectResponse(message, now);
    if (this.#state !== 'receiving') throw new MsbdError(`The server sent ${message.type} before RES_CONNECT.`);
    switch (message.type) {
      case 'REQ_PING':
        return [{ type: 'send', bytes: buildBare('RES_PING') }];
      case 'IND_STREAMINFO':
      case 'RES_STREAMINFO':
        return this.#streamInfo(message.type, message.info);
      case 'IND_EOS':
        this.#sawEnd = true;
        return NOTHING;
      case 'IND_PACKET':
        return this.packet(message);
      default:
        throw new MsbdError(`The server sent ${message.type}.`);
    }
  }

  /** A packet came, on the connection or as a datagram in its turn. Only those of the present stream count. */
  packet(packet: PacketMessage): readonly ClientEvent[] {
    if (packet.streamId === this.#info?.streamId) return [{ type: 'packet', packet }];
    this.#strangers++;
    if (this.#options.delivery === 'multicast' && this.#early.length < MAX_EARLY) this.#early.push(packet);
    return NOTHING;
  }

  /** To be called about once a second. */
  tick(now: number): readonly ClientEvent[] {
    if (now < this.#askAt) return NOTHING;
    this.#askAt = Number.POSITIVE_INFINITY;
    return [{ type: 'send', bytes: buildBare('REQ_STREAMINFO') }];
  }

  #connectResponse({ hr, group }: ConnectResponse, now: number): readonly ClientEvent[] {
    if (this.#state !== 'waiting for RES_CONNECT') throw new MsbdError('The server sent RES_CONNECT twice.');
    if (isErrorResult(hr)) throw this.#refusal(hr);
    this.#state = 'receiving';
    this.#askAt = now + ASK_AFTER;
    return group ? [{ type: 'join', group }] : NOTHING;
  }

  #streamInfo(type: 'RES_STREAMINFO' | 'IND_STREAMINFO', info: StreamInfo | undefined): readonly ClientEvent[] {
    this.#askAt = Number.POSITIVE_INFINITY;
    if (!info) {
      this.#state = 'ended';
      this.#sawEnd = true;
      return [{ type: 'end' }];
    }
    // An answer repeats what was said.
    if (type === 'RES_STREAMINFO' && info.streamId === this.#info?.streamId) return NOTHING;
    this.#info = info;
    this.#sawEnd = false;
    const waiting = this.#early.filter(({ streamId }) => streamId === info.streamId);
    this.#early = [];
    this.#strangers -= waiting.length;
    return [{ type: 'stream', info }, ...waiting.map((packet) => ({ type: 'packet', packet }) as const)];
  }

  #refusal(hr: number): WmError {
    const { url, delivery } = this.#options;
    const code = hexResult(hr);
    switch (hr) {
      case HR.accessDenied:
        return new WmError('WM_AUTH_REFUSED', `The server refused ${url}: ${code}.`);
      case HR.noStream:
      case HR.notFound:
        if (delivery === 'multicast') break;
        return new WmError('WM_NO_INPUT', `There is nothing at ${url}: the server answered ${code}.`);
      case HR.busy:
        return new WmError('WM_UNREACHABLE', `The server has no room for another client at ${url}: ${code}.`);
      default:
    }
    const how = delivery === 'multicast' ? ' to a multicast group' : '';
    return new WmError('WM_PROTOCOL', `The server refused to send ${url}${how}: ${code}.`);
  }
}
