import { WmError } from '../../errors.js';
import { hexResult, isErrorResult } from '../../hresult.js';
import { HR, MsbdError } from '../messages/base.js';
import {
  buildBare,
  buildConnectRequest,
  type ConnectResponse,
  type Message,
  type MsbdDelivery,
  type MsbdGroup,
} from '../messages/messages.js';
import type { PacketMessage } from '../messages/packet.js';
import type { StreamInfo } from '../messages/stream-info.js';

/** The states of figure 2 of MS-MSBD, and the one before the connection is made. */
export type ClientState = 'closed' | 'waiting for RES_CONNECT' | 'receiving' | 'ended';

/** What a session wants done or reports, in order. */
export type ClientEvent =
  | { readonly type: 'send'; readonly bytes: Buffer }
  /** Packets are sent to this group. */
  | { readonly type: 'join'; readonly group: MsbdGroup }
  /** The first stream, or a new one. */
  | { readonly type: 'stream'; readonly info: StreamInfo }
  /** A packet of the current stream. */
  | { readonly type: 'packet'; readonly packet: PacketMessage }
  /** Nothing follows; the client closes the connection (4.1). */
  | { readonly type: 'end' }
  /** The server does something unusual; the text is for the user. */
  | { readonly type: 'note'; readonly text: string };

/** The channel that a client asks for, and how it wants its packets. */
export interface ClientSessionOptions {
  readonly delivery: MsbdDelivery;
  /** szChannel */
  readonly channel: string;
  /** The URL that refusals name. */
  readonly url: string;
}

/** How long to wait for the IND_STREAMINFO that follows RES_CONNECT before asking for it (2.2.5), in ms. */
const ASK_AFTER = 3_000;
/** Datagrams kept ahead of the IND_STREAMINFO that announces their stream; it travels by another way. */
const MAX_EARLY = 64;
/** How long they are kept, in ms. */
const EARLY_WAIT = 2_000;
/**
 * This many packets in a row with the previous stream's wStreamId are not late: the server uses one wStreamId for all
 * streams.
 */
const MAX_LATE = 64;
/** Earlier wStreamIds that are remembered. */
const MAX_FORMER = 64;
const NOTHING: readonly ClientEvent[] = [];

/** A client session (MS-MSBD 3.2), without sockets; times are in ms of any monotonic clock. */
export class MsbdClientSession {
  readonly #options: ClientSessionOptions;
  #state: ClientState = 'closed';
  #info: StreamInfo | undefined;
  #askAt = Number.POSITIVE_INFINITY;
  #sawEnd = false;
  #early: PacketMessage[] = [];
  #earlyUntil = Number.POSITIVE_INFINITY;
  // wStreamIds of earlier streams, whose packets may still arrive.
  #former = new Set<number>();
  #late = 0;
  // Unannounced wStreamIds that packets of the current stream carry.
  readonly #aliases = new Set<number>();
  #strangers = 0;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The server's description of the current stream. */
  get info(): StreamInfo | undefined {
    return this.#info;
  }

  /** True if the end of the stream was announced, so that closing the connection is not a failure. */
  get sawEnd(): boolean {
    return this.#sawEnd;
  }

  /** Packets of earlier streams that arrived too late and were dropped (2.2.6, wStreamId). */
  get strangers(): number {
    return this.#strangers;
  }

  /** Tells the session that the connection is made (3.2.3). */
  connected(): readonly ClientEvent[] {
    const { delivery, channel } = this.#options;
    this.#state = 'waiting for RES_CONNECT';
    return [{ type: 'send', bytes: buildConnectRequest(delivery, channel) }];
  }

  /**
   * Takes a packet from the connection.
   *
   * @throws MsbdError for a packet that does not belong there
   * @throws WmError if the server refuses: WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE, WM_PROTOCOL
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
        // On a TCP connection no packets of a stream follow its end.
        if (this.#options.delivery === 'tcp') this.#former.clear();
        return NOTHING;
      case 'IND_PACKET':
        return this.packet(message);
      default:
        throw new MsbdError(`The server sent ${message.type}.`);
    }
  }

  /**
   * Takes a packet, from the connection or as a datagram in its order.
   *
   * Drops late packets of an earlier stream (2.2.6). Tolerates a wStreamId that was never announced: on a connection
   * the packet belongs to the last announced stream; a datagram may be ahead of its announcement and waits for it.
   */
  packet(packet: PacketMessage): readonly ClientEvent[] {
    const { streamId } = packet;
    if (this.#info && (streamId === this.#info.streamId || this.#aliases.has(streamId))) {
      this.#late = 0;
      return [{ type: 'packet', packet }];
    }
    if (!this.#info || (this.#former.has(streamId) && ++this.#late <= MAX_LATE)) {
      this.#strangers++;
      return NOTHING;
    }
    if (this.#options.delivery === 'tcp' || this.#former.has(streamId)) return this.#adopt([packet]);
    this.#early.push(packet);
    return this.#early.length > MAX_EARLY ? this.#adoptEarly() : NOTHING;
  }

  /** To be called about once a second. */
  tick(now: number): readonly ClientEvent[] {
    const events: ClientEvent[] = [];
    if (now >= this.#askAt) {
      this.#askAt = Number.POSITIVE_INFINITY;
      events.push({ type: 'send', bytes: buildBare('REQ_STREAMINFO') });
    }
    if (this.#early.length === 0) this.#earlyUntil = Number.POSITIVE_INFINITY;
    else if (this.#earlyUntil === Number.POSITIVE_INFINITY) this.#earlyUntil = now + EARLY_WAIT;
    else if (now >= this.#earlyUntil) events.push(...this.#adoptEarly());
    return events;
  }

  /** Assigns packets whose announcement never came to the last stream, when the connection ends. */
  flush(): readonly ClientEvent[] {
    return this.#early.length === 0 ? NOTHING : this.#adoptEarly();
  }

  #adoptEarly(): readonly ClientEvent[] {
    const packets = this.#early;
    this.#early = [];
    return this.#adopt(packets);
  }

  /** Treats packets with another wStreamId as packets of the current stream. */
  #adopt(packets: readonly PacketMessage[]): readonly ClientEvent[] {
    const { streamId } = packets.at(-1)!;
    const isNew = this.#aliases.size === 0;
    if (this.#aliases.size < MAX_FORMER) for (const each of packets) this.#aliases.add(each.streamId);
    const text = `Packets have the wStreamId ${streamId}, which was not announced; they are treated as packets of stream ${this.#info?.streamId}.`;
    const events = packets.map((packet) => ({ type: 'packet', packet }) as const);
    return isNew ? [{ type: 'note', text }, ...events] : events;
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
    // The answer repeats what is already known.
    if (type === 'RES_STREAMINFO' && info.streamId === this.#info?.streamId) return NOTHING;
    // Packets waiting under another number belong to the stream that ends here.
    const waiting = this.#early.filter(({ streamId }) => streamId === info.streamId);
    this.#early = this.#early.filter(({ streamId }) => streamId !== info.streamId);
    const last = this.#info ? this.flush() : NOTHING;
    this.#rememberFormer(info.streamId);
    this.#info = info;
    this.#sawEnd = false;
    return [...last, { type: 'stream', info }, ...waiting.map((packet) => ({ type: 'packet', packet }) as const)];
  }

  #rememberFormer(next: number): void {
    const isOver = this.#sawEnd && this.#options.delivery === 'tcp';
    if (this.#info && !isOver) for (const id of [...this.#aliases, this.#info.streamId]) this.#former.add(id);
    if (this.#former.size > MAX_FORMER) this.#former = new Set([...this.#former].slice(-MAX_FORMER));
    this.#former.delete(next);
    this.#aliases.clear();
    this.#late = 0;
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
