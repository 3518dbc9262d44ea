import { messageOf, WmError } from '../../errors.js';
import { StaleConnection } from '../../http/client.js';
import type { AsfEvent, AsfSink } from '../../media/events.js';
import { type Clock, systemClock } from '../../media/pacing.js';
import { mayRetry, type ReconnectPolicy, type ReconnectReport, waitBefore } from '../../media/reconnect.js';
import { PushClient, type PushOptions, type ResumablePush } from './client.js';
import { PushBuffer, type PushBufferOptions } from './push-buffer.js';
import { PushRefusal } from './refusal.js';

/** @public */
export interface ReconnectingPushOptions extends Omit<PushOptions, 'onStats'> {
  readonly reconnect: ReconnectPolicy;
  /** Further URLs of the same point, such as other nodes of a cluster; each attempt tries all of them in turn. */
  readonly alternatives?: readonly string[] | undefined;
  /** Bounds what is kept while the connection is down; default: {@link DEFAULT_BUFFER}. */
  readonly buffer?: Partial<PushBufferOptions> | undefined;
  /**
   * What to do when the buffer is full: `drop` drops the oldest packets and lets the source go on, as a capture needs
   * it; `wait` makes the source wait, as a file can. Default: drop.
   */
  readonly whenFull?: 'drop' | 'wait' | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
  /** Called when the push continues after a break. */
  readonly onResumed?: ((report: ResumeReport) => void) | undefined;
  /** Called when packets were dropped. @param packets the number since the last call */
  readonly onDropped?: ((packets: number) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** Returns 0 to 1; default: Math.random. */
  readonly random?: (() => number) | undefined;
}

/** How a push continues after a break. @public */
export interface ResumeReport {
  /** True if the server still had the session, so that its point never noticed; false if a new session has begun. */
  readonly resumed: boolean;
  /** The number of packets that wait and are now sent as fast as the connection allows. */
  readonly waiting: number;
  /**
   * The number of packets that the server may not have received before the break, because it does not say; the last
   * seconds are sent again. 0 if it said so.
   */
  readonly unconfirmed: number;
}

/** Counters; `sent + dropped + waiting` is the number of packets written. @public */
export interface ReconnectingPushStats {
  /** Packets sent, each counted once. */
  readonly sent: number;
  /** Packets left out. */
  readonly dropped: number;
  /** Packets still to be sent. */
  readonly waiting: number;
  readonly reconnects: number;
}

/** A minute of the stream, and at most 64 MiB. */
export const DEFAULT_BUFFER: PushBufferOptions = { duration: 60_000, bytes: 64 * 1024 * 1024 };

// In ms of the stream: how much is sent again to a server that does not say what it has.
const OVERLAP = 3_000;
// In ms: a connection that lasted so long ends a series of failures.
const LASTING = 10_000;
// In ms: a connection that takes nothing for so long is dead.
const STALLED = 20_000;
// The server may still believe that the old connection is alive.
const CONFLICT = 409;
// In ms: how long a server may take if there are others to try.
const SHORT_TIMEOUT = 4_000;

/**
 * A push that survives its connections. While the connection is down, packets are kept; once it is back, they are sent
 * faster than real time. Packets that do not fit in the buffer are dropped, the oldest first, and counted. The server
 * is asked to resume the session (MS-WMHTTP 3.2.7.1), so that its point and its players stay.
 *
 * WMHTTP acknowledges a PushStart body only in its entirety. So the packets in flight at a break are known to have
 * arrived only if the server says how many it has, as `wmcast serve` does; then exactly the missing ones follow. With
 * any other server, packets that its last response acknowledged are not sent again, but the last three seconds are.
 *
 * @public
 */
export class ReconnectingPush implements AsfSink {
  readonly #options: ReconnectingPushOptions;
  readonly #clock: Clock;
  readonly #buffer: PushBuffer;
  readonly #closed = new AbortController();
  #client: PushClient | undefined;
  #failure: WmError | undefined;
  #failureSeen = false;
  #attempt = 0;
  #reconnects = 0;
  #written = 0;
  #droppedReported = 0;
  // The number of packets of the session that are known to have arrived.
  #confirmed = 0;
  #connectedAt = 0;
  #ending = false;
  #endIsOut = false;
  #over = false;
  #wake: () => void = () => {};
  #room: Array<() => void> = [];
  readonly #pumping: Promise<void>;
  readonly #ways: Ways;

  private constructor(options: ReconnectingPushOptions, client: PushClient, ways: Ways) {
    this.#options = options;
    this.#ways = ways;
    this.#clock = options.clock ?? systemClock;
    const keepsWaiting = options.whenFull === 'wait';
    this.#buffer = new PushBuffer({ ...DEFAULT_BUFFER, ...options.buffer, keepsWaiting });
    this.#client = client;
    this.#connectedAt = this.#clock.now();
    this.#pumping = this.#pump().catch((error: unknown) => this.#fail(error));
  }

  /**
   * Connects as {@link PushClient.connect} does. The first attempt is repeated only if {@link ReconnectPolicy.first}
   * says so.
   *
   * @param signal ends the waits between attempts
   * @throws WmError as {@link PushClient.connect}
   */
  static async connect(options: ReconnectingPushOptions, signal?: AbortSignal): Promise<ReconnectingPush> {
    const { reconnect, clock = systemClock, random = Math.random, onReconnect } = options;
    const ways = new Ways(options);
    for (let attempt = 1; ; attempt++) {
      try {
        return new ReconnectingPush(options, await ways.connect(undefined, signal), ways);
      } catch (error) {
        const isPossible = mayRetry(error, false) || isConflict(error);
        if (!reconnect.first || !isPossible || attempt > reconnect.retries || signal?.aborted) throw error;
        const delay = waitBefore(reconnect, attempt, error, random);
        onReconnect?.({ error, attempt, delay });
        await clock.sleep(delay, signal);
      }
    }
  }

  get stats(): ReconnectingPushStats {
    const { waiting, dropped } = this.#buffer;
    return { sent: this.#written - waiting - dropped, dropped, waiting, reconnects: this.#reconnects };
  }

  /**
   * Takes an event for sending.
   *
   * @returns a promise if the buffer is full and the source has to wait; it rejects with a WmError once the push has
   * finally failed
   */
  write(event: AsfEvent): void | Promise<void> {
    if (this.#failure) return this.#rejection();
    if (this.#ending) return Promise.reject(new WmError('WM_FAILED', 'The push has ended already.'));
    try {
      this.#buffer.add(event);
    } catch (error) {
      this.#fail(error);
      return this.#rejection();
    }
    if (event.type === 'packet') this.#written++;
    this.#reportDropped();
    this.#wake();
    if (this.#options.whenFull === 'wait' && this.#buffer.full) return this.#waitForRoom();
    return undefined;
  }

  /**
   * Sends the rest, over another connection if necessary, and ends the push.
   *
   * @throws WmError if the push failed and no write has reported it
   */
  async close(): Promise<void> {
    this.#ending = true;
    this.#wake();
    await this.#pumping;
    if (this.#failure && !this.#failureSeen) await this.#rejection();
  }

  /** Gives up everything that has not been sent. */
  abort(): void {
    this.#closed.abort();
    this.#client?.destroy();
    this.#wake();
  }

  async #pump(): Promise<void> {
    for (;;) {
      try {
        while (await this.#send());
        return;
      } catch (error) {
        await this.#reconnect(error);
      }
    }
  }

  /** Sends the next event, or the end of the push. @returns true if there is more to come */
  async #send(): Promise<boolean> {
    if (this.#closed.signal.aborted || this.#over) return false;
    const client = this.#client!;
    const next = this.#buffer.peek();
    if (!next) {
      if (this.#ending) return this.#end(client);
      const written = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      await Promise.race([written, client.failed]);
      if (client.failure && !this.#closed.signal.aborted) throw client.failure;
      return true;
    }
    // Marked as sent before it is known to have succeeded: if it fails, the packet may have arrived nevertheless.
    this.#buffer.sent(client.packets);
    const backlog = client.write(next.event);
    if (backlog) await this.#unlessStalled(backlog, client);
    if (client.confirmed > this.#confirmed) {
      this.#confirmed = client.confirmed;
      this.#buffer.confirm(client.confirmed);
    }
    this.#releaseRoom();
    return true;
  }

  async #end(client: PushClient): Promise<boolean> {
    if (this.#endIsOut) return false;
    this.#endIsOut = true;
    await client.close();
    if (!client.delivered) throw new WmError('WM_SERVER_GONE', 'The connection broke while the push was ended.');
    return false;
  }

  async #unlessStalled(backlog: Promise<void>, client: PushClient): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new WmError('WM_SERVER_GONE', `The server has read nothing for ${STALLED / 1000} s.`));
        client.destroy();
      }, STALLED);
    });
    try {
      await Promise.race([backlog, stalled]);
    } finally {
      clearTimeout(timer);
      backlog.catch(() => {});
    }
  }

  /** Returns with a client that continues. @throws the error if the push may not, or cannot, reconnect */
  async #reconnect(cause: unknown): Promise<void> {
    const { reconnect, random = Math.random, onReconnect } = this.#options;
    const push = this.#client!.resumable;
    this.#client!.destroy();
    if (this.#clock.now() - this.#connectedAt >= LASTING) this.#attempt = 0;
    let error = cause;
    for (let first = true; ; first = false) {
      // A server's word in the middle of a push is final: another publisher has taken over, or it wants no more.
      const isPossible = first ? mayRetry(error, false) : mayRetry(error, true) || isConflict(error);
      if (this.#closed.signal.aborted || !isPossible || !(error instanceof WmError)) throw error;
      // A connection that broke because it was reused, which happens once, says nothing about the server.
      const isStale = first && error instanceof StaleConnection;
      if (!isStale && ++this.#attempt > reconnect.retries) throw error;
      const delay = isStale ? 0 : waitBefore(reconnect, this.#attempt, error, random);
      if (!isStale) onReconnect?.({ error, attempt: this.#attempt, delay });
      await this.#clock.sleep(delay, this.#closed.signal);
      try {
        this.#client = await this.#ways.connect(push, this.#closed.signal);
        break;
      } catch (thrown) {
        // Without another attempt, the original error says more than that the server is now gone.
        if (isStale && this.#attempt >= reconnect.retries) throw cause;
        error = thrown;
      }
    }
    this.#reconnects++;
    this.#connectedAt = this.#clock.now();
    this.#goOn(this.#client, push);
  }

  /** Finds the place where the new connection continues. */
  #goOn(client: PushClient, { session }: ResumablePush): void {
    const { resumed } = client;
    const buffer = this.#buffer;
    // If the server does not say, use what a response has acknowledged, provided that all the rest is still here.
    const acknowledged = this.#confirmed > 0 && buffer.has(this.#confirmed) ? this.#confirmed : undefined;
    const known = (resumed ? client.received : undefined) ?? acknowledged;
    if (client.received !== undefined && client.received > this.#confirmed) this.#attempt = 0;
    if (known === undefined) buffer.resumeBefore(OVERLAP);
    else buffer.resumeAt(known, session.packets);
    const unconfirmed = resumed && client.received !== undefined ? 0 : session.packets - this.#confirmed;
    this.#confirmed = resumed ? (known ?? this.#confirmed) : 0;
    // A session that is gone after its $E was sent has ended because of it.
    this.#over = this.#endIsOut && !resumed;
    this.#endIsOut = false;
    this.#reportDropped();
    this.#options.onResumed?.({ resumed, waiting: buffer.waiting, unconfirmed });
    if (this.#over) client.destroy();
    else this.#begin(client);
  }

  /** Starts or continues the session, with the header of the packets that follow. */
  #begin(client: PushClient): void {
    const { previousHeader } = this.#buffer;
    const next = this.#buffer.peek();
    const isNew = next?.event.type === 'header';
    const header = isNew ? previousHeader : (next?.header ?? previousHeader);
    if (!header || (isNew && !client.resumed)) return;
    if (client.resumed) client.continue(header, client.packets, header === previousHeader);
    else client.write({ type: 'header', header })?.catch(() => {});
  }

  #reportDropped(): void {
    const { dropped } = this.#buffer;
    if (dropped === this.#droppedReported) return;
    this.#options.onDropped?.(dropped - this.#droppedReported);
    this.#droppedReported = dropped;
  }

  #waitForRoom(): Promise<void> {
    return new Promise<void>((resolve) => this.#room.push(resolve)).then(() => {
      if (this.#failure) return this.#rejection();
      return undefined;
    });
  }

  #releaseRoom(): void {
    if (this.#room.length === 0 || (this.#buffer.full && !this.#failure)) return;
    for (const release of this.#room.splice(0)) release();
  }

  #fail(error: unknown): void {
    if (!this.#closed.signal.aborted) {
      this.#failure ??= error instanceof WmError ? error : new WmError('WM_FAILED', messageOf(error), { cause: error });
    }
    this.#client?.destroy();
    this.#releaseRoom();
  }

  #rejection(): Promise<never> {
    this.#failureSeen = true;
    return Promise.reject(this.#failure);
  }
}

/** The URLs of a point, of which the first that works is used. */
class Ways {
  readonly #options: ReconnectingPushOptions;
  readonly #urls: readonly string[];
  /** The one that worked last. */
  #current = 0;

  constructor(options: ReconnectingPushOptions) {
    this.#options = options;
    this.#urls = [options.url, ...(options.alternatives ?? [])];
  }

  /**
   * Connects, first to the server that worked last.
   *
   * @param push the push to continue, which only that server may know
   * @throws the error of the first server if none works
   */
  async connect(push: ResumablePush | undefined, signal: AbortSignal | undefined): Promise<PushClient> {
    const count = this.#urls.length;
    if (count === 1) return PushClient.connect(this.#options, push);
    const options = { ...this.#options, timeout: this.#options.timeout ?? SHORT_TIMEOUT };
    const errors: unknown[] = [];
    for (let step = 0; step < count && !signal?.aborted; step++) {
      const at = (this.#current + step) % count;
      try {
        const client = await PushClient.connect({ ...options, url: this.#urls[at]! }, step === 0 ? push : undefined);
        this.#current = at;
        return client;
      } catch (error) {
        errors.push(error);
      }
    }
    throw (
      errors.find((error) => mayRetry(error, false)) ??
      errors[0] ??
      new WmError('WM_FAILED', 'The push was broken off.')
    );
  }
}

/** True if another publisher is at the point, which may be our own old connection. */
function isConflict(error: unknown): error is PushRefusal {
  return error instanceof PushRefusal && error.status === CONFLICT;
}
