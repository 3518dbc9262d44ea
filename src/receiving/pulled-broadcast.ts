import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { steadyNow } from '../clock.js';
import { messageOf, WmError } from '../errors.js';
import type { AsfEvent, AsfSink, AsfSource } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import { Ticker } from '../media/on-demand/ticker.js';
import { type ReconnectPolicy, waitBefore } from '../media/reconnect.js';
import { Refusal } from '../refusal.js';
import { MAX_HOPS, newPullName, type PullChain } from './pull-chain.js';
import { RepeatedWarnings } from './repeated-warnings.js';

/** A possible source of a broadcast. */
export interface PulledSource {
  /** For messages, without credentials. */
  readonly name: string;
  /**
   * Opens it, once for each attempt.
   *
   * @param chain the pulls that wait for it, this one last
   * @throws WmError if it cannot be opened
   */
  open(chain: PullChain): AsfSource | Promise<AsfSource>;
  /** True if its end is final until the broadcast has stopped. After a failure it is opened again. */
  readonly ends?: boolean | undefined;
  /** True if it can be silent on purpose: once used, it is not given up because nothing comes. */
  readonly pauses?: boolean | undefined;
}

/** The sources of a broadcast, and when to pull from them. */
export interface PulledBroadcastOptions {
  /** In order of preference; the last may be a filler that is always available. */
  readonly sources: readonly PulledSource[];
  /** Whether to pull from the start, or when the first player arrives and as long as any stays. */
  readonly policy: 'always' | 'first-player';
  /**
   * Called when a source has a header; returns the sink for its events.
   *
   * @throws Refusal if something else feeds the broadcast
   */
  readonly begin: () => AsfSink;
  /** Called when no source delivers any longer, after `begin`. */
  readonly end: () => void;
  /** With `first-player`: returns true if there are players. */
  readonly wanted?: (() => boolean) | undefined;
  /** Returns false while something else feeds the broadcast, such as an encoder that pushes; then nothing is pulled. */
  readonly free?: (() => boolean) | undefined;
  /** In ms, how long it continues without players; default: 30 000. */
  readonly linger?: number | undefined;
  /** In ms, how often better sources are tried while another one is used; default: 15 000. */
  readonly returnAfter?: number | undefined;
  /** In ms, how long a source may deliver nothing before another one, if there is one, replaces it; default: 10 000. */
  readonly stall?: number | undefined;
  /** In ms, how long a player waits for the header; default: 15 000. */
  readonly patience?: number | undefined;
  readonly backOff?: Pick<ReconnectPolicy, 'initialDelay' | 'maxDelay'> | undefined;
  /** In ms, between two checks of the timers; default: 1000. */
  readonly tick?: number | undefined;
  /** Gets a sentence about a failing source, with growing pauses. @param source its name @param reason the cause */
  readonly onFailure: (source: string, reason: string, error: unknown) => void;
  /** Called when no source is used or tried any longer. */
  readonly onStop?: (() => void) | undefined;
  /** Gets a sentence when another source is used. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly now?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

const DEFAULTS = { linger: 30_000, returnAfter: 15_000, stall: 10_000, patience: 15_000 };
/** One timer for all: hundreds of timers would wake up the process hundreds of times a second. */
const ALL = new Ticker(1_000);
const FOREVER = Number.POSITIVE_INFINITY;
/** With `first-player`, players ask again by themselves, and a late one must not wait long for the next attempt. */
const BACK_OFF: Readonly<Record<PulledBroadcastOptions['policy'], ReconnectPolicy>> = {
  always: { initialDelay: 1_000, maxDelay: 30_000, retries: FOREVER },
  'first-player': { initialDelay: 500, maxDelay: 5_000, retries: FOREVER },
};
/** In ms, the maximum wait for anything to close. */
const CLOSE_GRACE = 3_000;
/** In ms, after which a source starts with short pauses again. */
const LASTING = 10_000;

/** One attempt with a source. */
interface Feed {
  readonly index: number;
  source: AsfSource | undefined;
  /** The header received before the feed is used; afterwards the sink has it. */
  header: AsfHeader | undefined;
  start: LiveStart | undefined;
  /**
   * When it began, or was used; when something last arrived, as of the last check of the timers; and whether more has
   * arrived since.
   */
  since: number;
  lastAt: number;
  fresh: boolean;
  over: boolean;
  /** The reason why it was given up from this side. */
  reason: WmError | undefined;
}

/** The state of a source over all attempts. */
interface Standing {
  attempts: number;
  /** When the last attempt ended. */
  triedAt: number;
  retryAt: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Between two warnings of a ring, in ms. */
const RING_INTERVAL = 60_000;

/**
 * Feeds a broadcast from the best available source, from the start or for the first player. It switches to the next
 * source if one fails or falls silent, and to a better one as soon as that has a key frame. The pauses between attempts
 * grow, and so do those between warnings.
 */
export class PulledBroadcast {
  /** Its name in chains of pulls. */
  readonly name = newPullName();
  readonly #options: PulledBroadcastOptions & typeof DEFAULTS;
  readonly #now: () => number;
  readonly #standings: readonly Standing[];
  readonly #warnings = new RepeatedWarnings();
  readonly #reading = new Set<Promise<void>>();
  readonly #waiters = new Set<Waiter>();
  readonly #ticker: Ticker;
  readonly #task = () => this.sweep();
  #running = false;
  #sink: AsfSink | undefined;
  #active: Feed | undefined;
  /** The feed that is being opened, or waits for its key frame to take over. */
  #candidate: Feed | undefined;
  #chain: PullChain = [];
  /** When the last warning of a ring was. */
  #ringAt = Number.NEGATIVE_INFINITY;
  #failure: unknown;
  #idleSince = 0;
  #closed = false;

  constructor(options: PulledBroadcastOptions) {
    const { linger, returnAfter, stall, patience, tick } = options;
    this.#options = {
      ...options,
      linger: linger ?? DEFAULTS.linger,
      returnAfter: returnAfter ?? DEFAULTS.returnAfter,
      stall: stall ?? DEFAULTS.stall,
      patience: patience ?? DEFAULTS.patience,
    };
    this.#now = options.now ?? steadyNow;
    this.#ticker = tick === undefined ? ALL : new Ticker(tick);
    const never = Number.NEGATIVE_INFINITY;
    this.#standings = options.sources.map(() => ({ attempts: 0, triedAt: never, retryAt: never }));
  }

  /** True while a source feeds it. */
  get live(): boolean {
    return this.#active !== undefined;
  }

  /** True while sources are used or tried. */
  get running(): boolean {
    return this.#running;
  }

  /** The name of the current source; undefined without one. */
  get source(): string | undefined {
    return this.#active && this.#options.sources[this.#active.index]?.name;
  }

  /** Begins, with the policy `always`. */
  start(): void {
    if (this.#closed || this.#running) return;
    this.#idleSince = this.#now();
    this.#running = true;
    for (const standing of this.#standings) if (standing.retryAt === FOREVER) standing.retryAt = this.#now();
    this.#ticker.add(this.#task);
    this.#next();
  }

  /**
   * Begins for a player if necessary, and waits until it is live.
   *
   * @param chain the pulls that wait for it, if a server asks
   * @throws Refusal `failed` if it waits for itself, or too many servers are in between; the error of the sources;
   * WM_UNREACHABLE if nothing arrives in time
   */
  async demand(chain: PullChain = []): Promise<void> {
    this.refuseRing(chain);
    if (this.#closed) throw new WmError('WM_UNREACHABLE', 'The server is closing.');
    this.#idleSince = this.#now();
    if (this.live) return;
    if (!this.#running) this.#chain = chain;
    const live = this.#whenLive();
    this.start();
    await live;
  }

  /** @throws Refusal `failed` if this pull is in the chain of the one that asks, or too many servers are in between */
  refuseRing(chain: PullChain): void {
    if (chain.includes(this.name)) {
      const ring = new Refusal('failed', 'These servers pull from each other in a ring.');
      this.#warnOfRing(ring);
      throw ring;
    }
    if (chain.length > MAX_HOPS) throw new Refusal('failed', 'Too many servers pull from each other.');
  }

  /** Tells the operator, who has to mend it; not often, because clients can pretend it. */
  #warnOfRing(ring: Refusal): void {
    const { sources, onFailure } = this.#options;
    const now = this.#now();
    if (now - this.#ringAt < RING_INTERVAL) return;
    this.#ringAt = now;
    onFailure(sources[0]?.name ?? this.name, ring.message, ring);
  }

  /** Stops pulling, because something else feeds the broadcast; nothing is pulled while it is not `free`. */
  displaced(): void {
    this.#sink = undefined;
    this.#drop();
  }

  /** Checks the timers; called about once a second. */
  sweep(now: number = this.#now()): void {
    if (this.#closed || !this.#running) return;
    const { policy, wanted, linger, stall, patience, sources } = this.#options;
    if (policy === 'first-player') {
      if (wanted?.() || this.#waiters.size > 0) this.#idleSince = now;
      else if (now - this.#idleSince > linger) {
        this.#stop();
        return;
      }
    }
    if (sources.length > 1) {
      const mayPause = this.#active && sources[this.#active.index]?.pauses;
      if (!mayPause) this.#giveUp(this.#active, now, stall);
      this.#giveUp(this.#candidate, now, this.#candidate?.header ? 2 * patience : patience);
    }
    this.#next();
  }

  /** Ends it. Resolves when everything is closed, or a source or the sink has not answered for 3 s. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, CLOSE_GRACE);
    });
    await Promise.race([Promise.all(this.#reading), late]);
    clearTimeout(timer);
  }

  async #whenLive(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const { patience } = this.#options;
    try {
      await new Promise<void>((resolve, reject) => {
        const waiter = { resolve, reject };
        this.#waiters.add(waiter);
        timer = setTimeout(() => {
          this.#waiters.delete(waiter);
          reject(this.#failure ?? this.#gaveNothing(` within ${patience / 1000} s`));
        }, patience);
      });
    } finally {
      clearTimeout(timer);
    }
  }

  #gaveNothing(how: string): WmError {
    const [first] = this.#options.sources;
    return new WmError('WM_UNREACHABLE', `${first?.name} delivered nothing${how}.`);
  }

  #settle(failure?: unknown): void {
    for (const { resolve, reject } of this.#waiters) {
      if (failure === undefined) resolve();
      else reject(failure);
    }
    this.#waiters.clear();
  }

  /** Opens what is due: any source while no source is used, else a better one. */
  #next(): void {
    if (this.#closed || !this.#running || this.#candidate || this.#active?.index === 0) return;
    if (this.#options.free?.() === false) return;
    const now = this.#now();
    const active = this.#active;
    const index = this.#standings.findIndex(({ retryAt, triedAt }, each) => {
      // There is no hurry while another source is used.
      if (active && (each >= active.index || now - triedAt < this.#options.returnAfter)) return false;
      return retryAt <= now;
    });
    if (index >= 0) this.#open(index, now);
    else if (!this.#active) this.#nothing();
  }

  /** Handles the case that no source delivers. */
  #nothing(): void {
    this.#endSink();
    if (this.#options.policy === 'first-player') this.#stop();
    else if (this.#failure !== undefined) this.#settle(this.#failure);
  }

  #open(index: number, now: number): void {
    const feed: Feed = {
      index,
      source: undefined,
      header: undefined,
      start: undefined,
      since: now,
      lastAt: now,
      fresh: false,
      over: false,
      reason: undefined,
    };
    this.#candidate = feed;
    this.#failure = undefined;
    const reading = this.#read(feed).finally(() => this.#reading.delete(reading));
    this.#reading.add(reading);
  }

  async #read(feed: Feed): Promise<void> {
    let failure: unknown;
    try {
      feed.source = await this.#options.sources[feed.index]!.open([...this.#chain, this.name]);
      if (!feed.over) {
        for await (const event of feed.source) {
          const wait = this.#take(feed, event);
          if (wait) await wait;
          if (feed.over) break;
        }
      }
    } catch (error) {
      failure = error;
    }
    feed.over = true;
    try {
      await feed.source?.close();
    } catch (error) {
      failure ??= error;
    }
    this.#ended(feed, feed.reason ?? failure);
  }

  #take(feed: Feed, event: AsfEvent): void | Promise<void> {
    if (feed.over) return;
    feed.fresh = true;
    if (feed === this.#active) {
      // The end is reported if no other source continues.
      if (event.type !== 'end' || event.moreEntries) return this.#sink?.write(event);
      return;
    }
    if (event.type === 'header') {
      feed.header = event.header;
      if (!this.#active) return this.#use(feed);
      feed.start = new LiveStart(event.header, new Set(event.header.streams.map(({ number }) => number)));
    } else if (event.type === 'packet' && feed.header) {
      const packets = feed.start?.packets(event.packet) ?? [event.packet];
      if (packets.length > 0) return this.#use(feed, packets);
    }
  }

  /** Makes a source feed the broadcast from now on, in place of the previous one. */
  #use(feed: Feed, packets: readonly DataPacket[] = []): void | Promise<void> {
    this.#sink ??= this.#options.begin();
    const sink = this.#sink;
    const before = this.#active;
    this.#active = feed;
    this.#candidate = undefined;
    this.#chain = [];
    this.#failure = undefined;
    feed.since = this.#now();
    if (before) this.#release(before);
    this.#reportFeed(feed, before);
    this.#settle();
    const waits = [sink.write({ type: 'header', header: feed.header! })];
    for (const packet of packets) waits.push(sink.write({ type: 'packet', packet }));
    feed.header = undefined;
    if (waits.some((wait) => wait)) return Promise.all(waits).then(() => {});
  }

  #reportFeed({ index }: Feed, before: Feed | undefined): void {
    const { sources, onNote } = this.#options;
    const wasDown = this.#warnings.clear(String(index));
    if (sources.length > 1 && (before || wasDown || index > 0)) onNote?.(`It comes from ${sources[index]!.name} now.`);
    else if (wasDown) onNote?.(`${sources[index]!.name} is there again.`);
  }

  #giveUp(feed: Feed | undefined, now: number, after: number): void {
    if (!feed || feed.over) return;
    if (feed.fresh) feed.lastAt = now;
    feed.fresh = false;
    if (now - feed.lastAt < after) return;
    feed.reason = new WmError('WM_SERVER_GONE', `Nothing arrived for ${Math.round(after / 1000)} s.`);
    this.#release(feed);
    // It may take its time to close, and others must not wait for it.
    this.#forget(feed);
    this.#failedWith(feed, feed.reason);
  }

  #release(feed: Feed): void {
    feed.over = true;
    void feed.source?.close().catch(() => {});
  }

  /** @returns true if it was in use, or about to be */
  #forget(feed: Feed): boolean {
    const isOurs = feed === this.#active || feed === this.#candidate;
    if (feed === this.#active) this.#active = undefined;
    if (feed === this.#candidate) this.#candidate = undefined;
    return isOurs;
  }

  #ended(feed: Feed, failure: unknown): void {
    if (!this.#forget(feed) || this.#closed) return;
    this.#failedWith(feed, failure);
    this.#next();
  }

  #failedWith({ index, since }: Feed, failure: unknown): void {
    const { random = Math.random, backOff: given, onFailure, sources, policy } = this.#options;
    const now = this.#now();
    const standing = this.#standings[index]!;
    if (now - since >= LASTING) standing.attempts = 0;
    standing.attempts++;
    standing.triedAt = now;
    const { name, ends } = sources[index]!;
    const isOver = ends === true && failure === undefined;
    const wait = waitBefore({ ...BACK_OFF[policy], ...given }, standing.attempts, failure, random);
    standing.retryAt = isOver ? FOREVER : now + wait;
    if (isOver) this.#options.onNote?.(`${name} has ended.`);
    this.#failure = failure ?? new WmError('WM_UNREACHABLE', `${name} has ended.`);
    const reason = failure === undefined ? undefined : this.#warnings.due(String(index), messageOf(failure), now);
    if (reason !== undefined) onFailure(name, reason, failure);
  }

  #endSink(): void {
    if (!this.#sink) return;
    this.#sink = undefined;
    this.#options.end();
  }

  #drop(): void {
    for (const feed of [this.#active, this.#candidate]) if (feed) this.#release(feed);
    this.#active = undefined;
    this.#candidate = undefined;
  }

  #stop(): void {
    this.#running = false;
    this.#ticker.delete(this.#task);
    this.#drop();
    this.#endSink();
    this.#settle(this.#failure ?? this.#gaveNothing(''));
    this.#options.onStop?.();
  }
}
