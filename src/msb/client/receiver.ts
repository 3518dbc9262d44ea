import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:dgram';
import type { NscFile } from '../../announce/nsc.js';
import { WmError } from '../../errors.js';
import type { AddressGuard } from '../../http/address-guard.js';
import type { AsfEvent, AsfSource } from '../../media/events.js';
import { anonymousPlayerId } from '../../wmlog/client-log.js';
import { openReceivingSocket } from '../group-socket.js';
import { submitReport } from './log.js';
import { LogQueue } from './log-queue.js';
import { isNscLocation } from './open-nsc.js';
import { type EntryReport, MsbSession, type SessionAction, type SessionOptions, type SessionStats } from './session.js';

/** @public */
export interface MulticastReceiverOptions extends SessionOptions {
  /** The content of the .nsc file. */
  readonly nsc: NscFile;
  /** Where the .nsc file was found, for logs. */
  readonly nscUrl?: string | undefined;
  /** The name or an address of a network interface; default: the system's choice of route. */
  readonly interface?: string | undefined;
  /** Opens the Unicast URL if nothing arrives by multicast; without it, that is an error. */
  readonly openUrl?: ((url: string) => AsfSource) | undefined;
  /** Reads the .nsc file again if packets arrive whose header it lacks. */
  readonly reload?: (() => Promise<NscFile>) | undefined;
  /** True to submit logs to the Log URL; default true. */
  readonly log?: boolean | undefined;
  /** Limits where the Log URL may lead; default anywhere. */
  readonly guard?: AddressGuard | undefined;
  /** Receives sentences about events that are not errors. */
  readonly onNote?: ((text: string) => void) | undefined;
  /** A clock in ms that never goes back. */
  readonly now?: (() => number) | undefined;
}

/** Interval at which timers are checked, in ms of the system's clock. */
const TICK = 100;
/** Shortest time between two reads of the .nsc file, in ms. */
const RELOAD_PAUSE = 5_000;
/** Bytes that may wait for the consumer of the events; the rest is dropped, as if the network had lost it. */
const MAX_QUEUE = 16 * 1024 * 1024;
/** Memory that an event takes besides its bytes. */
const EVENT_OVERHEAD = 300;

/**
 * Receives a multicast as a source ([MS-MSB] 3.2): joins the group, puts packets in order, and fills gaps from parity
 * packets. Ends when nothing has arrived until the End of Stream timer expires. If nothing arrives at all, falls back
 * to the Unicast URL.
 *
 * The iteration throws:
 * @throws WmError WM_BAD_INPUT if an ASF header of the .nsc file cannot be read, WM_UNREACHABLE if the group cannot be
 *   joined or if nothing arrives and there is no Unicast URL; and any error of the source at the Unicast URL
 * @public
 */
export class MulticastReceiver implements AsfSource {
  readonly #options: MulticastReceiverOptions;
  readonly #now: () => number;
  readonly #queue: AsfEvent[] = [];
  readonly #logs: LogQueue;
  readonly #playerId = anonymousPlayerId(randomBytes(6).toString('hex').toUpperCase());
  #queued = 0;
  #overflow = 0;
  #session: MsbSession | undefined;
  #socket: Socket | undefined;
  #unicast: AsfSource | undefined;
  #reloadedAt = Number.NEGATIVE_INFINITY;
  #state: 'receiving' | 'silent' | 'over' = 'receiving';
  #closed = false;
  #wake: () => void = () => {};

  constructor(options: MulticastReceiverOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    this.#logs = new LogQueue(options.onNote);
  }

  /**
   * Counts since the start; undefined before the iteration begins. `overflow` counts packets that the consumer did not
   * take in time.
   */
  get stats(): (SessionStats & { overflow: number }) | undefined {
    return this.#session && { ...this.#session.stats, overflow: this.#overflow };
  }

  /** True if the Unicast URL is being received. */
  get unicast(): boolean {
    return this.#unicast !== undefined;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    const { nsc, interface: own } = this.#options;
    if (this.#closed) return;
    const session = new MsbSession(nsc, this.#now(), this.#options);
    this.#session = session;
    const socket = await openReceivingSocket({ address: nsc.address, port: nsc.port, interface: own });
    this.#socket = socket;
    if (this.#closed) this.#leave();
    let failure: Error | undefined;
    socket.on('message', (bytes, { address }) => this.#perform(session.datagram(bytes, address, this.#now())));
    socket.on('error', (error) => {
      failure = error;
      this.#state = 'over';
      this.#wake();
    });
    const timer = setInterval(() => this.#perform(session.tick(this.#now())), TICK);
    try {
      yield* this.#events();
    } finally {
      clearInterval(timer);
      this.#leave();
    }
    if (failure)
      throw new WmError('WM_FAILED', `The multicast cannot be received: ${failure.message}`, { cause: failure });
    if (this.#state === 'silent' && !this.#closed) yield* this.#fallBack();
    await this.#logs.settled();
  }

  /** Ends reception as the end of the stream would, with a log. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#session) this.#perform(this.#session.stop(this.#now()));
    this.#state = 'over';
    this.#leave();
    this.#wake();
    await this.#unicast?.close();
    await this.#logs.settled();
  }

  /** The events of the session, until it is over. */
  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    for (;;) {
      const batch = this.#queue.splice(0);
      this.#queued = 0;
      yield* batch;
      if (this.#queue.length > 0) continue;
      if (this.#state !== 'receiving') return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async *#fallBack(): AsyncGenerator<AsfEvent, void, undefined> {
    const { nsc, openUrl, onNote } = this.#options;
    const seconds = Math.round((this.#options.openTimeout ?? 20_000) / 1000);
    const silence = `Nothing came from the group ${nsc.address}, port ${nsc.port}, in ${seconds} s`;
    if (nsc.unicastUrl === undefined) {
      throw new WmError('WM_UNREACHABLE', `${silence}, and there is no Unicast URL to fall back to.`);
    }
    if (openUrl === undefined) throw new WmError('WM_UNREACHABLE', `${silence}.`);
    // A path would name a file on this host, and an .nsc file could lead in a circle.
    if (!/^\s*[a-z][a-z0-9+.-]+:\/\//i.test(nsc.unicastUrl) || isNscLocation(nsc.unicastUrl)) {
      throw new WmError('WM_UNREACHABLE', `${silence}, and the Unicast URL is not the URL of a stream.`);
    }
    onNote?.(`${silence}; going on with ${nsc.unicastUrl}.`);
    this.#unicast = openUrl(nsc.unicastUrl);
    yield* this.#unicast;
  }

  #perform(actions: readonly SessionAction[]): void {
    for (const action of actions) {
      if (action.type === 'event') this.#put(action.event);
      else if (action.type === 'report') this.#submit(action.report);
      else if (action.type === 'unknownFormat') this.#unknownFormat(action.formatId);
      else this.#state = action.type === 'openTimeout' ? 'silent' : 'over';
    }
    if (actions.length > 0) this.#wake();
  }

  #put(event: AsfEvent): void {
    if (event.type === 'packet') {
      if (this.#queued > MAX_QUEUE) {
        this.#overflow++;
        return;
      }
      this.#queued += event.packet.bytes.length + EVENT_OVERHEAD;
    }
    this.#queue.push(event);
  }

  #unknownFormat(formatId: number): void {
    const { reload, onNote } = this.#options;
    onNote?.(`Packets arrive whose ASF header (Format ID ${formatId}) is not in the .nsc file.`);
    const now = this.#now();
    if (!reload || now - this.#reloadedAt < RELOAD_PAUSE) return;
    this.#reloadedAt = now;
    reload()
      .then((nsc) => this.#session?.update(nsc))
      .catch((error: unknown) => {
        if (!(error instanceof WmError)) throw error;
        onNote?.(`The .nsc file cannot be read again: ${error.message}`);
      });
  }

  #submit(report: EntryReport): void {
    const { nsc, nscUrl, log = true } = this.#options;
    const { logUrl } = nsc;
    if (!log || logUrl === undefined) return;
    this.#logs.add(() => submitReport(logUrl, report, { nsc, nscUrl, playerId: this.#playerId, now: new Date() }));
  }

  #leave(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    socket?.removeAllListeners('message');
    socket?.close();
  }
}
