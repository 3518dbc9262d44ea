import { messageOf, WmError } from '../errors.js';
import { StaleConnection } from '../http/client.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { type Clock, systemClock } from '../media/pacing.js';
import { mayRetry, type ReconnectPolicy, type ReconnectReport, waitBefore } from '../media/reconnect.js';
import { PushClient, type PushOptions, type ResumablePush } from './client.js';
import { PushRefusal } from './client-session.js';
import { PushBuffer, type PushBufferOptions } from './push-buffer.js';

export interface ReconnectingPushOptions extends Omit<PushOptions, 'onStats'> {
  readonly reconnect: ReconnectPolicy;
  /** What is kept while the line is down; default {@link DEFAULT_BUFFER}. */
  readonly buffer?: Partial<PushBufferOptions> | undefined;
  /**
   * What happens when the buffer is full: `drop` lets the source go on and drops the oldest, as a capture needs it; `wait` makes
   * it wait, as a file can. Default drop.
   */
  readonly whenFull?: 'drop' | 'wait' | undefined;
  readonly onReconnect?: ((report: ReconnectReport) => void) | undefined;
  /** The push goes on after a break. */
  readonly onResumed?: ((report: ResumeReport) => void) | undefined;
  /** Packets were dropped. @param packets since the last call */
  readonly onDropped?: ((packets: number) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** 0 to 1; default Math.random. */
  readonly random?: (() => number) | undefined;
}

/** How a push goes on. */
export interface ResumeReport {
  /** The server still had the session, so that its point never noticed; otherwise another session has begun. */
  readonly resumed: boolean;
  /** Packets that wait and are sent now as fast as the line bears. */
  readonly waiting: number;
  /**
   * Packets of which nobody can say whether the server had them when the line broke, because it does not tell; the last seconds are
   * sent again. 0 when it told.
   */
  readonly unconfirmed: number;
}

/** Counters; `sent + dropped + waiting` is what was written. */
export interface ReconnectingPushStats {
  /** Packets that were sent, each counted once. */
  readonly sent: number;
  /** Packets that were left out. */
  readonly dropped: number;
  /** Packets that are still to be sent. */
  readonly waiting: number;
  readonly reconnects: number;
}

/** A minute of the stream, and at most 64 MiB. */
export const DEFAULT_BUFFER: PushBufferOptions = { duration: 60_000, bytes: 64 * 1024 * 1024 };

// What is sent again to a server that does not say what it has, in ms of the stream.
const OVERLAP = 3_000;
// A connection that stood for so long was none of a row of failures, ms.
const LASTING = 10_000;
// A line that takes nothing for so long is dead, ms.
const STALLED = 20_000;
// The server may still take the old connection for alive.
const CONFLICT = 409;

/**
 * A push that survives its connections. While the line is down, what is written is kept, and sent when it is back, faster than
 * real time; what does not fit the buffer is dropped from the oldest on, and counted. The server is asked to resume the session
 * (MS-WMHTTP 3.2.7.1), so that its point and its players stay.
 *
 * WMHTTP acknowledges a PushStart body as a whole, so packets that were on their way when the line broke are known to have come
 * only when the server says how many it has, as `wmcast serve` does: then exactly the others follow. Of another server what its
 * last response acknowledged is not sent again, but the last three seconds are.
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
  #droppedTold = 0;
  // Packets of the session that are known to have come.
  #confirmed = 0;
  #connectedAt = 0;
  #ending = false;
  #endIsOut = false;
  #over = false;
  #wake: () => void = () => {};
  #room: Array<() => void> = [];
  readonly #pumping: Promise<void>;

  private constructor(options: ReconnectingPushOptions, client: PushClient) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    const keepsWaiting = options.whenFull === 'wait';
    this.#buffer = new PushBuffer({ ...DEFAULT_BUFFER, ...options.buffer, keepsWaiting });
    this.#client = client;
    this.#connectedAt = this.#clock.now();
    this.#pumping = this.#pump().catch((error: unknown) => this.#fail(error));
  }

  /**
   * Connects as {@link PushClient.connect}. The first attempt is repeated only when {@link ReconnectPolicy.first} says so.
   *
   * @param signal ends the waits between attempts
   * @throws WmError as {@link PushClient.connect}
   */
  static async connect(options: ReconnectingPushOptions, signal?: AbortSignal): Promise<ReconnectingPush> {
    const { reconnect, clock = systemClock, random = Math.random, onReconnect } = options;
    for (let attempt = 1; ; attempt++) {
      try {
        return new ReconnectingPush(options, await PushClient.connect(options));
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
   * @returns a promise when the buffer is full and the source is to wait; it rejects with a WmError when the push has failed for
   *   good
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
    this.#tellDropped();
    this.#wake();
    if (this.#options.whenFull === 'wait' && this.#buffer.full) return this.#waitForRoom();
    return undefined;
  }

  /**
   * Sends what is left, over another connection if need be, and ends the push.
   *
   * @throws WmError when it had failed and no write has told so
   */
  async close(): Promise<void> {
    this.#ending = true;
    this.#wake();
    await this.#pumping;
    if (this.#failure && !this.#failureSeen) await this.#rejection();
  }

  /** Gives up what has not been sent. */
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

  /** Sends the next event, or what ends the push. @returns whether there is more to come */
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
    // Before it is known to have succeeded: when it fails, the packet may yet have come.
    this.#buffer.sent(client.packets);
    const behind = client.write(next.event);
    if (behind) await this.#unlessStalled(behind, client);
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

  async #unlessStalled(behind: Promise<void>, client: PushClient): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const stalled = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new WmError('WM_SERVER_GONE', `The server has taken nothing for ${STALLED / 1000} s.`));
        client.destroy();
      }, STALLED);
    });
    try {
      await Promise.race([behind, stalled]);
    } finally {
      clearTimeout(timer);
      behind.catch(() => {});
    }
  }

  /** Comes back with a client that goes on, unless it is not to be. @throws what made it fail for good */
  async #reconnect(cause: unknown): Promise<void> {
    const { reconnect, random = Math.random, onReconnect } = this.#options;
    const push = this.#client!.resumable;
    this.#client!.destroy();
    if (this.#clock.now() - this.#connectedAt >= LASTING) this.#attempt = 0;
    let error = cause;
    for (let first = true; ; first = false) {
      // What a server says in the middle of a push it means: another publisher has taken over, or it wants no more.
      const isPossible = first ? mayRetry(error, false) : mayRetry(error, true) || isConflict(error);
      if (this.#closed.signal.aborted || !isPossible || !(error instanceof WmError)) throw error;
      // A connection that broke because it was used again, which happens once, says nothing of the server.
      const isStale = first && error instanceof StaleConnection;
      if (!isStale && ++this.#attempt > reconnect.retries) throw error;
      const delay = isStale ? 0 : waitBefore(reconnect, this.#attempt, error, random);
      if (!isStale) onReconnect?.({ error, attempt: this.#attempt, delay });
      await this.#clock.sleep(delay, this.#closed.signal);
      try {
        this.#client = await PushClient.connect(this.#options, push);
        break;
      } catch (thrown) {
        // Without another attempt, what broke the push says more than that the server is gone now.
        if (isStale && this.#attempt >= reconnect.retries) throw cause;
        error = thrown;
      }
    }
    this.#reconnects++;
    this.#connectedAt = this.#clock.now();
    this.#goOn(this.#client, push);
  }

  /** Finds the place where the new connection goes on. */
  #goOn(client: PushClient, { session }: ResumablePush): void {
    const { resumed } = client;
    const buffer = this.#buffer;
    // Without a word of the server, what a response has acknowledged, if all the rest is still here.
    const acknowledged = this.#confirmed > 0 && buffer.has(this.#confirmed) ? this.#confirmed : undefined;
    const known = (resumed ? client.received : undefined) ?? acknowledged;
    if (client.received !== undefined && client.received > this.#confirmed) this.#attempt = 0;
    if (known === undefined) buffer.resumeBefore(OVERLAP);
    else buffer.resumeAt(known, session.packets);
    const unconfirmed = resumed && client.received !== undefined ? 0 : session.packets - this.#confirmed;
    this.#confirmed = resumed ? (known ?? this.#confirmed) : 0;
    // A session that is gone once its $E was sent has ended by it.
    this.#over = this.#endIsOut && !resumed;
    this.#endIsOut = false;
    this.#tellDropped();
    this.#options.onResumed?.({ resumed, waiting: buffer.waiting, unconfirmed });
    if (this.#over) client.destroy();
    else this.#begin(client);
  }

  /** Starts the session, or goes on in it, with the header of what follows. */
  #begin(client: PushClient): void {
    const { previousHeader } = this.#buffer;
    const next = this.#buffer.peek();
    const isNew = next?.event.type === 'header';
    const header = isNew ? previousHeader : (next?.header ?? previousHeader);
    if (!header || (isNew && !client.resumed)) return;
    if (client.resumed) client.continue(header, client.packets, header === previousHeader);
    else client.write({ type: 'header', header })?.catch(() => {});
  }

  #tellDropped(): void {
    const { dropped } = this.#buffer;
    if (dropped === this.#droppedTold) return;
    this.#options.onDropped?.(dropped - this.#droppedTold);
    this.#droppedTold = dropped;
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

/** Another publisher at the point, when one connects, may be one's own old connection. */
function isConflict(error: unknown): error is PushRefusal {
  return error instanceof PushRefusal && error.status === CONFLICT;
}
