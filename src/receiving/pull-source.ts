import { AsfError } from '../asf/error.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { printable, WmError } from '../errors.js';
import { Continuity } from '../media/continuity.js';
import type { AsfEvent, AsfSource, EndEvent } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import { mayRetry, Retries, type RetryOptions } from '../media/reconnect.js';
import { SingleReading } from '../media/source.js';
import type { PullClientOptions } from './client-options.js';
import {
  type LinkEvent,
  type Losses,
  type PullLink,
  ServerFailure,
  type SourceFacts,
  type Way,
  type Wish,
} from './link.js';
import { Received } from './received.js';
import { chooseStreams, headerWithStreams, packetWithStreams } from './streams.js';
import { WayChoice } from './way-choice.js';
import { within } from './within.js';

/** The part of the content to pull, which streams of it, and how often to try. */
export interface PullOptions
  extends RetryOptions,
    Pick<PullClientOptions, 'streams' | 'bandwidth' | 'startTime' | 'startPacket' | 'rate' | 'maxDuration' | 'onNote'> {
  /** The name of the protocol's packets in messages. */
  readonly packetName?: string | undefined;
  /** With several ways: the maximum wait until one of them delivers, in ms; default: 15 000. */
  readonly roundWithin?: number | undefined;
  /** True to drop packets that only protect others; default: false. */
  readonly withoutParity?: boolean | undefined;
}

/** The counts of what a source has received. */
export interface PullStats {
  /** ASF data packets that were forwarded. */
  readonly packets: number;
  readonly bytes: number;
  /** Packets that were unreadable and dropped. */
  readonly damagedPackets: number;
  /** Packets that are missing, as far as the protocol can tell. */
  readonly lostPackets: number;
  /** Lost packets that were recovered by parity. */
  readonly recoveredPackets: number;
  readonly parityPackets: number;
  readonly reconnects: number;
}

const END: EndEvent = { type: 'end', moreEntries: false, reason: 0 };
const OPEN_WITHIN = 60_000;

/**
 * Receives a stream over any protocol. It opens the first of its ways that delivers packets, chooses streams, and
 * continues after a break at the same position. The result is one sequence of headers, packets and an end.
 *
 * The iteration throws the error of the last way, after an end event if there was a header.
 */
export class PullSource<F extends SourceFacts = SourceFacts> implements AsfSource {
  readonly #options: PullOptions;
  readonly #continuity = new Continuity();
  readonly #received = new Received();
  readonly #retries: Retries;
  readonly #closed = new AbortController();
  readonly #reading = new SingleReading();
  readonly #ways: WayChoice<F>;
  #link: PullLink<F> | undefined;
  #opening: PullLink<F> | undefined;
  #playing = false;
  // True once a packet has arrived over the current link.
  #delivers = false;
  #facts: F | undefined;
  // The current entry: its header with all streams, the chosen streams, and the link's identifier for it.
  #header: AsfHeader | undefined;
  #chosen: ReadonlySet<number> = new Set();
  #entry: number | undefined;
  #start: LiveStart | undefined;
  #startTime: number;
  #startPacket: number | undefined;
  #firstSendTime: number | undefined;
  #seeking = false;
  #paused = false;
  #wake: () => void = () => {};
  #counts = { packets: 0, bytes: 0, damagedPackets: 0 };
  #losses: Losses = { lost: 0, recovered: 0, parity: 0 };

  /** @param ways in order of preference, at least one */
  constructor(ways: ReadonlyArray<Way<F>>, options: PullOptions) {
    this.#ways = new WayChoice(ways, options.roundWithin);
    this.#options = options;
    this.#retries = new Retries(options, this.#closed.signal);
    this.#startTime = options.startTime ?? 0;
    this.#startPacket = options.startPacket;
  }

  /** The facts that the last link found; undefined before that. Known when the first header arrives. */
  get facts(): F | undefined {
    return this.#facts;
  }

  get stats(): PullStats {
    const { lost = 0, recovered = 0, parity = 0 } = this.#link?.losses ?? {};
    return {
      ...this.#counts,
      reconnects: this.#retries.reconnects,
      lostPackets: this.#losses.lost + lost,
      recoveredPackets: this.#losses.recovered + recovered,
      parityPackets: this.#losses.parity + parity,
    };
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return this.#events();
  }

  /** Asks about the content, and receives none of it. @throws WmError as the iteration */
  async describe(): Promise<F> {
    try {
      for (;;) {
        try {
          return await this.#open();
        } catch (error) {
          if (!this.#hasOtherWay(error)) throw this.#ways.failureOf(error);
        }
      }
    } finally {
      this.#drop();
    }
  }

  /** Stops the server; the session is kept if possible, so that {@link resume} continues with the next packet. */
  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#link?.pause();
  }

  resume(): void {
    this.#paused = false;
    this.#wake();
  }

  /** Continues at another position of content on demand. @param milliseconds from its start */
  seek(milliseconds: number): void {
    this.#startTime = milliseconds;
    this.#startPacket = undefined;
    this.#seeking = true;
    this.#link?.pause();
  }

  /** Forwards the report of a client of this one, if the protocol can; for proxies. See {@link PullLink.forward}. */
  forward(body: Buffer, agent: string): void {
    this.#link?.forward?.(body, agent);
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#opening?.destroy();
    if (this.#playing && this.#link?.stop) this.#link.stop();
    else this.#link?.destroy();
    this.#wake();
    return Promise.resolve();
  }

  /**
   * Takes the events of links one by one. The next packet of an array is looked at only after the previous one was
   * taken, so that a pause or a seek takes effect in between.
   */
  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    const batches = this.#batches();
    try {
      let failure: { readonly error: unknown } | undefined;
      try {
        let next = await batches.next();
        while (!next.done) {
          let refused: { readonly error: unknown } | undefined;
          for (const event of next.value) {
            const taken = this.#tryTake(event);
            if (taken === undefined) continue;
            if ('error' in taken) {
              refused = taken;
              break;
            }
            if ('type' in taken) yield taken;
            else yield* taken;
          }
          next = refused ? await batches.throw(refused.error) : await batches.next();
        }
      } catch (error) {
        failure = { error };
      }
      yield* this.#late();
      if (this.#hasWorked) yield END;
      if (failure) throw failure.error;
      await this.#link?.finish?.();
    } finally {
      await batches.return();
      // A reader that leaves after it has closed the source is not at the end, but its server expects a report as well.
      if (this.#closed.signal.aborted) await this.#link?.finish?.().catch(() => {});
      this.#drop();
      this.#opening?.destroy();
    }
  }

  get #hasWorked(): boolean {
    return this.#continuity.header !== undefined;
  }

  /** Yields everything up to the last packet, over as many links as necessary. */
  async *#batches(): AsyncGenerator<readonly LinkEvent[], void, undefined> {
    for (;;) {
      await this.#whilePaused();
      if (this.#closed.signal.aborted) return;
      const resumed = this.#link;
      try {
        if ((yield* this.#connection()) === 'ended') return;
      } catch (error) {
        if (this.#closed.signal.aborted || (this.#isComplete && !(error instanceof ServerFailure))) return;
        // If the server has forgotten the session, begin another one at the same position.
        const isForgotten = resumed !== undefined && error instanceof WmError && !mayRetry(error, false);
        const hasOtherWay = this.#hasOtherWay(error);
        if (this.#isLive || !this.#facts?.resumable || isForgotten || hasOtherWay) this.#drop();
        if (!isForgotten && !hasOtherWay) await this.#retries.after(this.#ways.failureOf(error), this.#hasWorked);
      }
    }
  }

  async #whilePaused(): Promise<void> {
    while (this.#paused && !this.#closed.signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  /** Yields everything that one link delivers. */
  async *#connection(): AsyncGenerator<readonly LinkEvent[], 'ended' | 'stopped', undefined> {
    if (!this.#link) await this.#open();
    const link = this.#link!;
    if (this.#seeking) this.#continuity.jumped();
    this.#seeking = false;
    this.#received.restart('same');
    this.#playing = true;
    const play = link.play(() => this.#wish);
    const { name, firstPacketWithin: limit } = this.#ways.current;
    const firstPacketWithin = this.#ways.shareOf(limit, performance.now());
    const silence = `${name} gave no packet within ${Math.round(firstPacketWithin ?? 0) / 1000} s.`;
    const until = performance.now() + (firstPacketWithin ?? 0);
    try {
      for (;;) {
        const isJudged = this.#delivers || firstPacketWithin === undefined;
        const { done, value } = await (isJudged
          ? play.next()
          : within(play.next(), until - performance.now(), silence));
        if (done) return value;
        yield value;
      }
    } finally {
      this.#playing = false;
      // A silent link does not return from its wait.
      const ended = play.return('stopped').catch(() => undefined);
      if (this.#delivers || firstPacketWithin === undefined) await ended;
    }
  }

  get #isInterrupted(): boolean {
    const isInterrupted = this.#paused || this.#seeking;
    if (isInterrupted && !this.#facts?.resumable) {
      throw new WmError('WM_FAILED', 'Plain ASF cannot be paused, and its position cannot be changed.');
    }
    return isInterrupted || this.#closed.signal.aborted;
  }

  #tryTake(event: LinkEvent): AsfEvent | readonly AsfEvent[] | { readonly error: unknown } | undefined {
    try {
      // Events that arrived together with the packet of the interruption are requested again, if wanted.
      if (event.type !== 'header' && this.#isInterrupted) return undefined;
      return this.#take(event);
    } catch (error) {
      return { error };
    }
  }

  #take(event: LinkEvent): AsfEvent | readonly AsfEvent[] | undefined {
    switch (event.type) {
      case 'header': {
        const events = this.#takeHeader(event.header, event.announced);
        this.#entry = event.entry;
        if (event.announced) this.#received.restart('another');
        return events;
      }
      case 'packet': {
        const packet = this.#readPacket(event.bytes);
        return packet && this.#placed(event.location, packet);
      }
      case 'parsed':
        return this.#placed(event.location, event.packet);
      case 'damaged':
        this.#counts.damagedPackets += event.packets;
        return undefined;
    }
  }

  #takeHeader(header: AsfHeader, announced: boolean): readonly AsfEvent[] {
    const isFirst = !this.#hasWorked;
    this.#header = header;
    this.#chosen = this.#choose(header, isFirst);
    if (announced) {
      this.#startTime = 0;
      this.#startPacket = undefined;
    }
    const late = this.#late();
    if (isFirst && this.#isLive) this.#start = new LiveStart(header, this.#chosen);
    return [...late, ...this.#continuity.take(headerWithStreams(header, this.#chosen), announced, this.#isLive)];
  }

  /** Puts a packet in its place; returns what is passed on: nothing if it is unwanted or was received before. */
  #placed(location: number | undefined, packet: DataPacket): AsfEvent | readonly AsfEvent[] | undefined {
    this.#works();
    this.#received.packet(packet.bytes.length, packet.sendTime, performance.now());
    // The packets protected by parity are repaired by now; a recording has no use for parity.
    if (packet.parity && this.#options.withoutParity) {
      this.#losses = { ...this.#losses, parity: this.#losses.parity + 1 };
      return undefined;
    }
    const chosen = packetWithStreams(packet, this.#chosen);
    if (!chosen || !this.#start?.waiting) return chosen && this.#passedOn(location, chosen);
    return this.#start.packets(chosen).flatMap((each) => this.#passedOn(location, each) ?? []);
  }

  /** Returns what waited for a key frame that did not come. */
  #late(): readonly AsfEvent[] {
    if (!this.#start?.waiting) return [];
    return this.#start.end().flatMap((packet) => this.#passedOn(undefined, packet) ?? []);
  }

  #passedOn(location: number | undefined, packet: DataPacket): AsfEvent | undefined {
    const placed = this.#continuity.packet(location, packet, (this.#options.rate ?? 1) < 0);
    if (!placed) return undefined;
    this.#retries.progressed();
    this.#firstSendTime ??= packet.sendTime;
    this.#counts.packets++;
    this.#counts.bytes += placed.bytes.length;
    return { type: 'packet', packet: placed };
  }

  #readPacket(bytes: Buffer): DataPacket | undefined {
    try {
      const size = this.#header?.packetSize ?? 0;
      if (bytes.length > size) throw new AsfError(`A packet of ${bytes.length} bytes is larger than ${size}.`);
      return parsePacket(bytes);
    } catch (error) {
      if (!(error instanceof AsfError)) throw error;
      const { tolerant = true, packetName = 'A packet' } = this.#options;
      if (!tolerant) throw new WmError('WM_PROTOCOL', `${packetName} is malformed: ${error.message}`, { cause: error });
      if (this.#counts.damagedPackets++ === 0) this.#note(`A packet is left out: ${error.message}`);
      return undefined;
    }
  }

  #choose(header: AsfHeader, first: boolean): ReadonlySet<number> {
    const { streams, bandwidth = this.#facts?.bandwidth } = this.#options;
    const known = new Set(header.streams.map(({ number }) => number));
    // Numbers given for the first entry are meant for the streams of the same numbers in the others.
    const there = first ? streams : streams?.filter((number) => known.has(number));
    return chooseStreams(header, { bandwidth, streams: there?.length === 0 ? undefined : there });
  }

  get #wish(): Wish {
    const { rate = 1 } = this.#options;
    const header = this.#header ?? this.#facts!.header;
    const { lastLocation, lastSendTime } = this.#continuity;
    const next =
      this.#isLive || lastLocation === undefined ? this.#startPacket : Math.max(lastLocation + Math.sign(rate), 0);
    return {
      header,
      chosen: this.#header ? this.#chosen : this.#choose(header, true),
      live: this.#isLive,
      startTime: this.#isLive ? 0 : this.#startTime,
      startPacket: next,
      lastSendTime,
      entry: lastSendTime === undefined ? undefined : this.#entry,
      rate,
      maxDuration: this.#remainingDuration,
    };
  }

  /** Returns what is left of {@link PullOptions.maxDuration}. */
  get #remainingDuration(): number {
    const { maxDuration = 0 } = this.#options;
    const { lastSendTime } = this.#continuity;
    if (maxDuration === 0 || this.#firstSendTime === undefined || lastSendTime === undefined) return maxDuration;
    return Math.max(maxDuration - Math.abs((lastSendTime - this.#firstSendTime) | 0), 1);
  }

  get #isLive(): boolean {
    return this.#facts?.live ?? this.#header?.broadcast ?? false;
  }

  /** True if all packets of a file have arrived and only the end is missing. */
  get #isComplete(): boolean {
    const { lastLocation, header } = this.#continuity;
    if (this.#isLive || !header || lastLocation === undefined || !this.#facts?.single) return false;
    return header.dataObject.packetCount > 0n && BigInt(lastLocation + 1) >= header.dataObject.packetCount;
  }

  /** Opens the current way. */
  async #open(): Promise<F> {
    const way = this.#ways.current;
    const now = performance.now();
    this.#ways.begin(now);
    const openWithin = this.#ways.shareOf(way.openWithin ?? OPEN_WITHIN, now);
    const link = way.connect(this.#context);
    this.#opening = link;
    this.#delivers = false;
    try {
      if (this.#closed.signal.aborted) throw new WmError('WM_FAILED', 'The source is closed.');
      this.#facts = await within(link.open(), openWithin, `${way.name} does not answer.`);
      this.#link = link;
      this.#received.newSession();
      return this.#facts;
    } catch (error) {
      link.destroy();
      throw error;
    } finally {
      this.#opening = undefined;
    }
  }

  get #context() {
    const source = this;
    return {
      received: this.#received,
      get header() {
        return source.#header;
      },
      get reconnects() {
        return source.#retries.reconnects;
      },
    };
  }

  /** Packets arrive over the current way. */
  #works(): void {
    if (this.#delivers) return;
    this.#delivers = true;
    if (this.#ways.works()) this.#note(`${this.#ways.current.name} works.`);
  }

  /** Switches to the next way, if there is one on which the error may not occur. */
  #hasOtherWay(error: unknown): boolean {
    const failed = this.#ways.failed(error, this.#delivers);
    if (failed) {
      const next = this.#ways.current.name;
      this.#note(`${failed.name} does not work: ${(error as WmError).message} Going on with ${next}.`);
    }
    return failed !== undefined;
  }

  /** Releases a link, and keeps its counts. */
  #drop(): void {
    const link = this.#link;
    this.#link = undefined;
    const { lost = 0, recovered = 0, parity = 0 } = link?.losses ?? {};
    const before = this.#losses;
    this.#losses = {
      lost: before.lost + lost,
      recovered: before.recovered + recovered,
      parity: before.parity + parity,
    };
    link?.destroy();
  }

  #note(text: string): void {
    this.#options.onNote?.(printable(text, 500));
  }
}
