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

/** Where a broadcast may come from. */
export interface PulledSource {
  /** For people, without credentials. */
  readonly name: string;
  /**
   * Opens it, once for each attempt.
   *
   * @param chain the pulls that wait for it, this one last
   * @throws WmError when it cannot be had
   */
  open(chain: PullChain): AsfSource | Promise<AsfSource>;
}

export interface PulledBroadcastOptions {
  /** In order of preference; the last may be a filler that is always there. */
  readonly sources: readonly PulledSource[];
  /** Pull from the start, or once somebody asks and as long as somebody wants it. */
  readonly policy: 'always' | 'first-player';
  /** Called when a source has something; the sink takes its events. @throws Refusal when something else feeds it */
  readonly begin: () => AsfSink;
  /** Called when no source has anything any more, after `begin`. */
  readonly end: () => void;
  /** With `first-player`: whether anybody takes what comes. */
  readonly wanted?: (() => boolean) | undefined;
  /** False while something else feeds it, such as an encoder that pushes; then nothing is pulled. */
  readonly free?: (() => boolean) | undefined;
  /** How long it goes on when nobody wants it, ms; default 30 000. */
  readonly linger?: number | undefined;
  /** How often better sources are tried while another one is used, at most, ms; default 15 000. */
  readonly returnAfter?: number | undefined;
  /** A source that gives nothing for so long gives way to another one, if there is one, ms; default 10 000. */
  readonly stall?: number | undefined;
  /** How long somebody who asks waits for the header, ms; default 15 000. */
  readonly patience?: number | undefined;
  readonly backOff?: Pick<ReconnectPolicy, 'initialDelay' | 'maxDelay'> | undefined;
  /** Between two looks at the timers, ms; default 1000. */
  readonly tick?: number | undefined;
  /** Gets a sentence about a source that fails, with pauses that grow. @param source its name @param reason why */
  readonly onFailure: (source: string, reason: string, error: unknown) => void;
  /** Called when nothing is used or tried any more. */
  readonly onStop?: (() => void) | undefined;
  /** Gets a sentence when another source is used. */
  readonly onNote?: ((text: string) => void) | undefined;
  readonly now?: (() => number) | undefined;
  readonly random?: (() => number) | undefined;
}

const DEFAULTS = { linger: 30_000, returnAfter: 15_000, stall: 10_000, patience: 15_000 };
/** One timer for all: hundreds of timers would wake the process up hundreds of times a second. */
const ALL = new Ticker(1_000);
const FOREVER = Number.POSITIVE_INFINITY;
/** Where players ask again by themselves, one that comes late must not wait for long. */
const BACK_OFF: Readonly<Record<PulledBroadcastOptions['policy'], ReconnectPolicy>> = {
  always: { initialDelay: 1_000, maxDelay: 30_000, retries: FOREVER },
  'first-player': { initialDelay: 500, maxDelay: 5_000, retries: FOREVER },
};
/** How long it waits for what does not close, ms. */
const CLOSE_GRACE = 3_000;
/** A source that has lasted so long begins with short pauses again, ms. */
const LASTING = 10_000;

/** One attempt with a source. */
interface Feed {
  readonly index: number;
  source: AsfSource | undefined;
  /** Of what comes, until it is used: then the sink has it. */
  header: AsfHeader | undefined;
  start: LiveStart | undefined;
  /** When it began, or was used; when something came last, as of the last look at the timers, and whether more came since. */
  since: number;
  lastAt: number;
  fresh: boolean;
  over: boolean;
  /** Why it was given up from here. */
  reason: WmError | undefined;
}

/** What is known of a source over all attempts. */
interface Standing {
  attempts: number;
  /** When the last one ended. */
  triedAt: number;
  retryAt: number;
}

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Feeds a broadcast from the best source that is there: from the start or for the first player, from the next one when one fails or
 * falls silent, and from a better one again as soon as that has a key frame. Attempts have pauses that grow, and so have warnings.
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
  /** What is being opened, or waits for its key frame to take over. */
  #candidate: Feed | undefined;
  #chain: PullChain = [];
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

  /** The name of the source that is used; undefined while there is none. */
  get source(): string | undefined {
    return this.#active && this.#options.sources[this.#active.index]?.name;
  }

  /** With the policy `always`: begins. */
  start(): void {
    if (this.#closed || this.#running) return;
    this.#idleSince = this.#now();
    this.#running = true;
    this.#ticker.add(this.#task);
    this.#next();
  }

  /**
   * Somebody wants it: begins if that is needed, and waits until it is live.
   *
   * @param chain the pulls that wait for it, if it is a server that asks
   * @throws Refusal `failed` when it waits for itself, or too many servers stand between; what the sources failed with; WM_UNREACHABLE
   *   when nothing comes in time
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

  /** @throws Refusal `failed` when somebody who asks is waited for by this pull, or too many servers stand between */
  refuseRing(chain: PullChain): void {
    if (chain.includes(this.name)) throw new Refusal('failed', 'These servers pull from each other in a ring.');
    if (chain.length > MAX_HOPS) throw new Refusal('failed', 'Too many servers pull from each other.');
  }

  /** Something else feeds the broadcast from now on: what is pulled ends, and nothing is pulled while it is not `free`. */
  displaced(): void {
    this.#sink = undefined;
    this.#drop();
  }

  /** Looks at the timers; called about once a second. */
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
      this.#giveUp(this.#active, now, stall);
      this.#giveUp(this.#candidate, now, this.#candidate?.header ? 2 * patience : patience);
    }
    this.#next();
  }

  /** Ends it; settles when nothing is open any more, or a source or the sink does not answer for 3 s. */
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
    return new WmError('WM_UNREACHABLE', `${first?.name} gave nothing${how}.`);
  }

  #settle(failure?: unknown): void {
    for (const { resolve, reject } of this.#waiters) {
      if (failure === undefined) resolve();
      else reject(failure);
    }
    this.#waiters.clear();
  }

  /** Opens what is due: any source while none is used, else a better one. */
  #next(): void {
    if (this.#closed || !this.#running || this.#candidate || this.#active?.index === 0) return;
    if (this.#options.free?.() === false) return;
    const now = this.#now();
    const active = this.#active;
    const index = this.#standings.findIndex(({ retryAt, triedAt }, each) => {
      // While another source is used there is no hurry.
      if (active && (each >= active.index || now - triedAt < this.#options.returnAfter)) return false;
      return retryAt <= now;
    });
    if (index >= 0) this.#open(index, now);
    else if (!this.#active) this.#nothing();
  }

  /** No source has anything at the moment. */
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
      // The end is told when no other source goes on.
      if (event.type !== 'end' || event.moreEntries) return this.#sink?.write(event);
      return;
    }
    if (event.type === 'header') {
      feed.header = event.header;
      if (!this.#active) return this.#use(feed);
      feed.start = new LiveStart(event.header, new Set(event.header.streams.map(({ number }) => number)));
    } else if (event.type === 'packet' && feed.header) {
      const packet = feed.start ? feed.start.packet(event.packet) : event.packet;
      if (packet) return this.#use(feed, packet);
    }
  }

  /** Has a source feed the broadcast from here on, in place of the one that did. */
  #use(feed: Feed, packet?: DataPacket): void | Promise<void> {
    this.#sink ??= this.#options.begin();
    const sink = this.#sink;
    const before = this.#active;
    this.#active = feed;
    this.#candidate = undefined;
    this.#chain = [];
    this.#failure = undefined;
    feed.since = this.#now();
    if (before) this.#release(before);
    this.#tellUse(feed, before);
    this.#settle();
    const waits = [sink.write({ type: 'header', header: feed.header! })];
    if (packet) waits.push(sink.write({ type: 'packet', packet }));
    feed.header = undefined;
    if (waits.some((wait) => wait)) return Promise.all(waits).then(() => {});
  }

  #tellUse({ index }: Feed, before: Feed | undefined): void {
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
    feed.reason = new WmError('WM_SERVER_GONE', `Nothing came for ${Math.round(after / 1000)} s.`);
    this.#release(feed);
    // It may take its time to close, and others must not wait for it.
    this.#forget(feed);
    this.#failedWith(feed, feed.reason);
  }

  #release(feed: Feed): void {
    feed.over = true;
    void feed.source?.close().catch(() => {});
  }

  /** @returns whether it was in use, or about to be */
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
    standing.retryAt = now + waitBefore({ ...BACK_OFF[policy], ...given }, standing.attempts, failure, random);
    const { name } = sources[index]!;
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
