import type { Socket as UdpSocket } from 'node:dgram';
import { connect, type Socket } from 'node:net';
import { messageOf, WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import { guardedLookup } from '../../http/connection.js';
import { MsbReception } from '../../msb/client/reception.js';
import { openReceivingSocket } from '../../msb/group-socket.js';
import { MsbdError } from '../messages/base.js';
import { type MsbdGroup, readMessage } from '../messages/messages.js';
import { MessageReader } from '../messages/reader.js';
import type { StreamInfo } from '../messages/stream-info.js';
import { type ClientEvent, MsbdClientSession } from './session.js';
import type { MsbdUrl } from './url.js';

/** Longest waits in ms. @public */
export interface MsbdTimeouts {
  /** For the TCP connection. */
  readonly connect: number;
  /** From the connection to the description of the stream. */
  readonly answer: number;
  /** For the next packet. */
  readonly data: number;
}

/** The waits of a client that sets none. */
export const DEFAULT_TIMEOUTS: MsbdTimeouts = { connect: 10_000, answer: 15_000, data: 30_000 };

/** Something received over a connection. */
export type MsbdEvent =
  | { readonly type: 'stream'; readonly info: StreamInfo }
  | { readonly type: 'packet'; readonly payload: Buffer }
  | { readonly type: 'end' };

/** The server to connect to, and how long to wait for it. */
export interface LinkOptions {
  readonly url: MsbdUrl;
  readonly href: string;
  readonly timeouts: MsbdTimeouts;
  /** Limits the addresses of the server that may be connected to; default all. */
  readonly guard?: AddressGuard | undefined;
  readonly onNote: (text: string) => void;
}

/** Bytes that may wait for the consumer; beyond that the connection pauses, or datagrams are lost. */
const MAX_WAITING = 8 * 1024 * 1024;
/** Bytes of answers that a server may leave unread. */
const MAX_UNREAD = 64 * 1024;
const TICK = 100;

/** One connection to a server, and the group that the server names: the sockets of a {@link MsbdClientSession}. */
export class MsbdLink {
  readonly #options: LinkOptions;
  readonly #session: MsbdClientSession;
  readonly #reader = new MessageReader();
  readonly #reception = new MsbReception();
  #socket: Socket | undefined;
  #udp: UdpSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #group: MsbdGroup | undefined;
  readonly #waiting: MsbdEvent[] = [];
  #waitingBytes = 0;
  #failure: unknown;
  #over = false;
  #deadline = 0;
  #badDatagrams = 0;
  // dwPacketId of the last packet on the connection, and the number of packets missing there.
  #lastId: number | undefined;
  #gaps = 0;
  #wake: () => void = () => {};

  constructor(options: LinkOptions) {
    this.#options = options;
    const { delivery, channel } = options.url;
    this.#session = new MsbdClientSession({ delivery, channel, url: options.href });
  }

  /** The group that packets are sent to, if any. */
  get group(): MsbdGroup | undefined {
    return this.#group;
  }

  /** Packets missing by their numbers or too late for their stream, and packets rebuilt from parity. */
  get losses(): { readonly lost: number; readonly recovered: number; readonly parity: number } {
    const { lost, recovered, parityPackets } = this.#reception.stats;
    return { lost: lost + this.#gaps + this.#session.strangers, recovered, parity: parityPackets };
  }

  /**
   * Connects, and yields events until the end, in one array what arrived together.
   *
   * @throws WmError WM_UNREACHABLE, WM_SERVER_GONE, WM_PROTOCOL, WM_NO_INPUT, WM_AUTH_REFUSED
   */
  async *events(): AsyncGenerator<readonly MsbdEvent[], void, undefined> {
    this.#open();
    try {
      for (;;) {
        const events = this.#waiting.splice(0);
        if (events.length > 0) {
          this.#tookAll();
          yield events;
          if (events.some(({ type }) => type === 'end')) return;
        } else if (this.#failure !== undefined) throw this.#failure;
        else if (this.#over) return;
        else {
          await new Promise<void>((resolve) => {
            this.#wake = resolve;
          });
        }
      }
    } finally {
      this.close();
    }
  }

  /** Ends the connection; events already received are still yielded. */
  close(): void {
    this.#over = true;
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#udp?.close();
    this.#udp = undefined;
    this.#wake();
  }

  #open(): void {
    if (this.#over) return;
    const { guard, url } = this.#options;
    const { host, port } = url;
    const { connect: limit } = this.#options.timeouts;
    this.#deadline = performance.now() + limit;
    const socket = connect({ host, port, family: 4, noDelay: true, ...guardedLookup({ host, port, guard }) });
    this.#socket = socket;
    socket.once('connect', () => {
      this.#deadline = performance.now() + this.#options.timeouts.answer;
      this.#perform(this.#session.connected());
    });
    socket.on('data', (bytes) => this.#receive(bytes));
    socket.on('error', (error) => this.#lost(error));
    socket.on('end', () => this.#lost(undefined));
    socket.on('close', () => this.#lost(undefined));
    this.#timer = setInterval(() => this.#tick(), TICK);
  }

  #receive(bytes: Buffer): void {
    try {
      for (const bytesOfOne of this.#reader.push(bytes)) {
        const message = readMessage(bytesOfOne);
        if (message.type === 'IND_PACKET') this.#countGap(message.packetId);
        this.#perform(this.#session.receive(message, performance.now()));
      }
    } catch (error) {
      this.#fail(error);
    }
    if (this.#waitingBytes > MAX_WAITING) this.#socket?.pause();
  }

  #countGap(packetId: number): void {
    // A parity packet repeats the number before it (2.2.10).
    const step = this.#lastId === undefined ? 1 : (packetId - this.#lastId) | 0;
    if (step > 1) this.#gaps += step - 1;
    this.#lastId = packetId;
  }

  #perform(events: readonly ClientEvent[]): void {
    for (const event of events) {
      if (event.type === 'send') this.#send(event.bytes);
      else if (event.type === 'join') void this.#join(event.group);
      else if (event.type === 'note') this.#options.onNote(event.text);
      else this.#give(event);
    }
  }

  #send(bytes: Buffer): void {
    const socket = this.#socket;
    if (!socket) return;
    if (socket.writableLength > MAX_UNREAD) {
      this.#fail(new WmError('WM_PROTOCOL', `${this.#options.href} keeps asking and does not read the answers.`));
    } else socket.write(bytes);
  }

  #give(event: Exclude<ClientEvent, { readonly type: 'send' | 'join' | 'note' }>): void {
    this.#deadline = performance.now() + this.#options.timeouts.data;
    if (event.type === 'packet') {
      const { payload } = event.packet;
      this.#waitingBytes += payload.length;
      this.#waiting.push({ type: 'packet', payload });
    } else {
      if (event.type === 'end') this.#flush();
      this.#waiting.push(event);
    }
    this.#wake();
  }

  #tookAll(): void {
    this.#waitingBytes = 0;
    if (this.#socket?.isPaused()) this.#socket.resume();
  }

  async #join(group: MsbdGroup): Promise<void> {
    this.#group = group;
    try {
      const udp = await openReceivingSocket({ ...group, interface: this.#options.url.interface });
      if (this.#over) {
        udp.close();
        return;
      }
      this.#udp = udp;
      udp.on('message', (bytes) => this.#datagram(bytes));
      udp.on('error', (error) => this.#fail(error));
    } catch (error) {
      this.#fail(error);
    }
  }

  /** Only IND_PACKET is sent as a datagram (2.1); anything else, or anything damaged, may come from anybody. */
  #datagram(bytes: Buffer): void {
    try {
      const message = readMessage(bytes);
      if (message.type !== 'IND_PACKET') return;
      if (this.#waitingBytes > MAX_WAITING) return;
      const { packetId: id, streamId, payload } = message;
      this.#deliver(this.#reception.packet({ type: 'packet', id, streamId, payload }, performance.now()));
    } catch (error) {
      if (!(error instanceof MsbdError)) this.#fail(error);
      else if (this.#badDatagrams++ === 0) this.#options.onNote(`A datagram is left out: ${error.message}`);
    }
  }

  #deliver(packets: ReadonlyArray<{ readonly streamId: number; readonly payload: Buffer }>): void {
    for (const { streamId, payload } of packets)
      this.#perform(this.#session.packet({ packetId: -1, streamId, payload }));
  }

  #flush(): void {
    if (this.#group) this.#deliver(this.#reception.flush());
    this.#perform(this.#session.flush());
  }

  #tick(): void {
    const now = performance.now();
    this.#perform(this.#session.tick(now));
    if (this.#group) this.#deliver(this.#reception.tick(now));
    if (now < this.#deadline) return;
    const { href } = this.#options;
    switch (this.#session.state) {
      case 'closed':
        this.#fail(new WmError('WM_UNREACHABLE', `${href} does not answer.`));
        break;
      case 'receiving':
        this.#fail(
          new WmError(
            'WM_SERVER_GONE',
            `Nothing came ${this.#group ? `to the group ${this.#group.address}` : `from ${href}`} for too long.`,
          ),
        );
        break;
      default:
        this.#fail(new WmError('WM_UNREACHABLE', `${href} accepted the connection but sends nothing.`));
    }
  }

  #lost(error: Error | undefined): void {
    if (this.#over || this.#failure !== undefined) return;
    if (this.#session.sawEnd) {
      this.#flush();
      this.#waiting.push({ type: 'end' });
      this.#wake();
      return;
    }
    if (error instanceof WmError) {
      this.#fail(error);
      return;
    }
    const { href } = this.#options;
    const why = error ? `: ${messageOf(error)}` : '';
    const isNew = this.#session.state === 'closed';
    this.#fail(
      isNew
        ? new WmError('WM_UNREACHABLE', `${href} cannot be reached${why}.`, { cause: error })
        : new WmError('WM_SERVER_GONE', `The connection to ${href} was lost${why}.`, { cause: error }),
    );
  }

  #fail(error: unknown): void {
    if (this.#over || this.#failure !== undefined) return;
    this.#failure = error;
    clearInterval(this.#timer);
    this.#socket?.destroy();
    this.#wake();
  }
}
