import { pause } from '../abort.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { parsePacket } from '../asf/packet.js';
import { restorePadding } from '../asf/padding.js';
import { PacketScanner } from '../asf/scan.js';
import { messageOf, WmError } from '../errors.js';
import { buffers } from '../media/on-demand/buffer-pool.js';
import { OnDemandFile } from '../media/on-demand/file.js';
import type { MediaTimes } from '../media/on-demand/measure.js';
import type { StartPosition, StreamChoice } from '../media/on-demand/options.js';
import { PacketRun, type PacketView } from '../media/on-demand/packet-run.js';
import type { PacketStore } from '../media/on-demand/store.js';
import type { TimeIndex } from '../media/on-demand/time-index.js';
import { Refusal } from '../refusal.js';
import { beginningOf, reachesBeyond, timesOf } from './beginning.js';
import type { CopyFile } from './cache/copy-file.js';
import { Ranges } from './cache/ranges.js';
import {
  ContentChanged,
  type Fetch,
  type FetchedPacket,
  type FetchStart,
  newFetch,
  type OriginContent,
} from './fetch.js';
import { PacketMemory } from './memory.js';

/** A cached file, and where its missing parts come from. */
export interface CachedStoreOptions {
  /** The name for errors and logs. */
  readonly url: string;
  /** Opens the content at the origin, once it is needed. @throws WmError, Refusal */
  readonly origin: () => Promise<OriginContent>;
  readonly header: AsfHeader;
  /** The copy on the disk; without one, a part of the content is kept in memory. */
  readonly copy?: CopyFile | undefined;
  /** Called before more is written. @returns false if the disk may not take so many bytes more */
  readonly makeRoom?: ((bytes: number) => Promise<boolean>) | undefined;
  readonly version: string;
  readonly modified: Date;
  /** Bytes of packets in memory; default: 8 MiB. */
  readonly memory?: number | undefined;
  /** Called once, when the disk does not take any more; it goes on from memory. */
  readonly onDiskFull?: ((reason: string) => void) | undefined;
  /** Called once, when the origin has other content now: new players must not get this. */
  readonly onChanged?: (() => void) | undefined;
  readonly onFetch?: ((start: FetchStart) => void) | undefined;
  /** Called with the bytes of packets that have come from the origin. */
  readonly onFetched?: ((bytes: number) => void) | undefined;
}

const BATCH_SIZE = 32 * 1024;
const MEMORY = 8 * 1024 * 1024;
/** A packet that a fetch will bring within so much media is waited for, in ms. */
const NEAR = 10_000;
const NEAR_PACKETS = 64;
/** The maximum number of fetches at a time. */
const MAX_FETCHES = 4;
/** Failures in a row with few packets in between, after which players are given up. */
const MAX_FAILURES = 3;
/** In ms, before the next attempt. */
const RETRY_AFTER = 500;
/** The disk is asked for room for so many bytes at a time. */
const ROOM = 4 * 1024 * 1024;
const MAX_LOCATED = 1_000;
/** The maximum number of questions to the origin where a time is, at a time. */
const MAX_LOCATING = 64;
/** Packets that a fetch may bring again: some origins begin at the key frame before. More for a high bit rate. */
const MAX_REPEATED = 1_024;
/** A longer gap between two packets is not put on the disk, in packets. */
const LONGEST_GAP = 1_024;

/**
 * The packets of another server's content: those that a cache has, and holes, which are fetched when a player comes to
 * them, once for all players. While there are players the rest is fetched, too.
 */
export class CachedStore implements PacketStore {
  readonly path: string;
  readonly header: AsfHeader;
  readonly packetSize: number;
  readonly packetSpan: number;
  readonly batchPackets: number;
  readonly packetCount: number;
  readonly times: MediaTimes;
  readonly durationMs: number;
  readonly preroll: number;
  readonly size: number;
  readonly modified: Date;
  readonly version: string;
  readonly #options: CachedStoreOptions;
  readonly #view: PacketView;
  readonly #copy: CopyFile | undefined;
  readonly #memory: PacketMemory;
  /** Packets that the origin left out: there is nothing to wait for. */
  readonly #absent = new Ranges();
  readonly #fetches = new Set<Fetch>();
  readonly #located = new Map<number, Promise<number>>();
  readonly #closing = new AbortController();
  #origin: Promise<OriginContent> | undefined;
  #wakers = new Set<() => void>();
  #writes: boolean;
  #room = 0;
  #failures = 0;
  #failure: unknown;
  #changed = false;
  #idle = false;
  #isLearnt = false;
  /** Counts how often players were given up. */
  #rounds = 0;
  /** The furthest packet that was borrowed, by the newest reader. */
  #asked = 0;

  constructor(options: CachedStoreOptions) {
    const { header, copy, url, version, modified } = options;
    const { packetSize, preroll } = header;
    this.#options = options;
    this.#copy = copy;
    this.#writes = copy !== undefined;
    this.#memory = new PacketMemory(options.memory ?? MEMORY);
    this.path = url;
    this.header = header;
    this.packetSize = packetSize;
    this.packetSpan = packetSize;
    this.batchPackets = Math.max(1, Math.floor(BATCH_SIZE / packetSize));
    this.packetCount = Number(header.dataObject.packetCount);
    this.preroll = preroll;
    this.times = timesOf(header);
    this.durationMs = this.times.end - preroll;
    this.size = header.bytes.length + this.packetCount * packetSize;
    this.modified = modified;
    this.version = version;
    this.#view = {
      packetSize,
      scanner: new PacketScanner(header),
      sendShift: 0,
      presentationShift: 0,
      lead: undefined,
      pieces: 1,
      pieceSize: packetSize,
    };
  }

  /** True if everything is there, and on the disk. */
  get complete(): boolean {
    return this.#copy?.complete ?? false;
  }

  get partial(): boolean {
    return !this.complete;
  }

  /** True if the origin has other content by now. */
  get changed(): boolean {
    return this.#changed;
  }

  /** Requests to the origin that are going on. */
  get fetches(): number {
    return this.#fetches.size;
  }

  available(from: number, count: number): number {
    const most = Math.min(count, this.packetCount - from);
    if (most <= 0) return 0;
    const onDisk = (this.#copy?.have.endOf(from) ?? from) - from;
    if (onDisk > 0) return Math.min(onDisk, most);
    const left = this.#absent.endOf(from) - from;
    return left > 0 ? Math.min(left, most) : this.#memory.count(from, most);
  }

  async borrow(from: number, count: number, reserve = 0): Promise<PacketRun> {
    this.#asked = from + count;
    if (this.#waitsForRoom) this.#wake();
    const room = buffers.take(reserve + count * this.packetSize);
    const bytes = room.subarray(reserve);
    const filled = await this.fill(bytes, from, count);
    const slots = Math.floor(filled / this.packetSize);
    this.#learn(bytes);
    return new PacketRun({
      view: this.#view,
      bytes: bytes.subarray(0, slots * this.packetSize),
      before: 0,
      last: false,
      first: from,
      slots,
      from,
      short: false,
      release: () => buffers.give(room),
      room,
    });
  }

  /** True if the origin left a packet out, so that there is nothing in its place. */
  isAbsent(packet: number): boolean {
    return this.#absent.has(packet) && !this.#copy?.have.has(packet);
  }

  /** Reads packets that are available into a buffer. @returns bytes read */
  async fill(room: Buffer, from: number, count: number): Promise<number> {
    const onDisk = this.#copy?.have.endOf(from) ?? from;
    if (onDisk > from) return this.#copy!.read(room, from, Math.min(count, onDisk - from));
    const size = count * this.packetSize;
    if (this.#absent.has(from)) return room.fill(0, 0, size).length && size;
    let filled = 0;
    for (const packet of this.#memory.run(from, count)) filled += packet.copy(room, filled);
    return filled;
  }

  async visit(from: number, count: number, visit: (packet: DataPacket, location: number) => unknown): Promise<void> {
    const end = Math.min(from + count, this.packetCount);
    for (let at = from; at < end; ) {
      if (this.available(at, 1) === 0 && (await this.want(at, this.#closing.signal)) !== 'there') return;
      const run = await this.borrow(at, this.available(at, end - at));
      let goesOn = true;
      for (let packet = run.next(); packet !== undefined && goesOn; packet = run.next()) {
        goesOn = visit(packet, run.location) !== false;
      }
      run.release();
      if (!goesOn || run.count === 0) return;
      at += run.count;
    }
  }

  async want(from: number, signal: AbortSignal): Promise<'there' | 'end'> {
    const rounds = this.#rounds;
    for (;;) {
      if (this.available(from, 1) > 0) return 'there';
      if (from >= this.packetCount || signal.aborted) return 'end';
      if (this.#closing.signal.aborted) throw new WmError('WM_NO_INPUT', `${this.path} was closed.`);
      if (this.#changed) throw new WmError('WM_NO_INPUT', `${this.path} has changed at its origin.`);
      if (this.#rounds !== rounds) throw this.#givenUp();
      const asked = this.#asked;
      this.#asked = Math.max(asked, from + 1);
      if (!this.#bringer(from)) this.#start({ packet: from });
      if (this.#waitsForRoom) this.#wake();
      await this.#news(signal);
    }
  }

  /** Asks the origin where a time is, unless everything around it is there. */
  locate(position: StartPosition, choice: StreamChoice): Promise<number> | undefined {
    if (position.kind !== 'time' || position.milliseconds <= 0) return undefined;
    if (this.complete) return undefined;
    const { milliseconds } = position;
    const beginning = this.#copy?.have.endOf(0) ?? 0;
    return reachesBeyond(this, beginning, milliseconds).then((isThere) =>
      isThere
        ? OnDemandFile.over(beginningOf(this, beginning)).locate(position, choice)
        : this.#locateAtOrigin(milliseconds),
    );
  }

  readIndexes(): Promise<ReadonlyMap<number, TimeIndex>> {
    return Promise.resolve(new Map());
  }

  /** Nobody plays it any more, or somebody does again: then the rest is fetched in the background. */
  setIdle(idle: boolean): void {
    this.#idle = idle;
    if (idle) for (const fetch of this.#fetches) fetch.abort.abort();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    for (const fetch of this.#fetches) fetch.abort.abort();
    this.#wake();
    const origin = this.#origin;
    this.#origin = undefined;
    await origin?.then(
      (opened) => opened.close(),
      () => undefined,
    );
  }

  /** Learns the usual form of the packets, so that they are recognised without parsing. */
  #learn(bytes: Buffer): void {
    if (this.#isLearnt) return;
    const packet = this.#view.scanner.read(bytes, 0);
    if (!packet || packet.payloads.length === 0) return;
    this.#isLearnt = true;
    this.#view.scanner.takeForm(packet);
  }

  /** How many packets a fetch brings soon. */
  get #near(): number {
    return Math.max(NEAR_PACKETS, (this.packetCount / Math.max(this.durationMs, 1)) * NEAR);
  }

  /** Returns the fetch that brings a packet soon. */
  #bringer(packet: number): Fetch | undefined {
    const near = this.#near;
    for (const fetch of this.#fetches) {
      const { next } = fetch;
      if (next === undefined || fetch.abort.signal.aborted) continue;
      if (next <= packet && packet - next <= near) return fetch;
    }
    return undefined;
  }

  /** True if a fetch waits until a player comes closer. */
  #waitsForRoom = false;

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = new Set();
    for (const wake of wakers) wake();
  }

  /** Waits until something changes. */
  #news(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        signal?.removeEventListener('abort', wake);
        this.#wakers.delete(wake);
        resolve();
      };
      this.#wakers.add(wake);
      signal?.addEventListener('abort', wake, { once: true });
    });
  }

  #givenUp(): WmError {
    const reason = messageOf(this.#failure);
    return new WmError('WM_NO_INPUT', `${this.path} cannot be fetched: ${reason}`, { cause: this.#failure });
  }

  #start(start: FetchStart): Fetch {
    if (this.#fetches.size >= MAX_FETCHES) {
      // One that has begun fetches for players who will ask again, or for nobody.
      const begun = [...this.#fetches].find(({ next }) => next !== undefined);
      begun?.abort.abort();
      if (begun) this.#fetches.delete(begun);
      else if (this.#fetches.size >= MAX_LOCATING) {
        throw new Refusal('busy', `Too many players seek in ${this.path} at the same time.`);
      }
    }
    const fetch = newFetch(start);
    this.#fetches.add(fetch);
    this.#options.onFetch?.(start);
    void this.#run(fetch, start);
    return fetch;
  }

  async #run(fetch: Fetch, start: FetchStart): Promise<void> {
    const { signal } = fetch.abort;
    try {
      if (this.#failures > 0) await pause(RETRY_AFTER * this.#failures, signal);
      this.#origin ??= this.#options.origin();
      const origin = await this.#origin;
      signal.throwIfAborted();
      const isSame = origin.header.bytes.equals(this.header.bytes);
      if (!isSame) throw new ContentChanged(this.path);
      for await (const packets of origin.fetch(start, signal)) {
        await this.#take(fetch, packets);
        if (signal.aborted || this.#isDone(fetch)) break;
      }
      if (!signal.aborted && !this.#isDone(fetch)) this.#endsEarly(fetch);
    } catch (error) {
      fetch.fail(error);
      if (!signal.aborted) this.#failed(error);
    } finally {
      fetch.fail(new WmError('WM_NO_INPUT', `${this.path} has nothing there.`));
      fetch.abort.abort();
      this.#fetches.delete(fetch);
      this.#goOn();
      this.#wake();
    }
  }

  #failed(error: unknown): void {
    this.#failure = error;
    if (++this.#failures >= MAX_FAILURES) {
      // The next player is another attempt.
      this.#failures = 0;
      this.#rounds++;
    }
    // Another connection, and perhaps other content.
    const origin = this.#origin;
    this.#origin = undefined;
    void origin?.then(
      (opened) => opened.close(),
      () => undefined,
    );
    if (!(error instanceof ContentChanged) || this.#changed) return;
    this.#changed = true;
    this.#options.onChanged?.();
  }

  /** True if what follows is there already. */
  #isDone({ next }: Fetch): boolean {
    if (next === undefined) return false;
    const end = Math.max(this.#copy?.have.endOf(next) ?? next, this.#absent.endOf(next));
    // A few packets twice are cheaper than another request.
    return next >= this.packetCount || end - next > NEAR_PACKETS || end >= this.packetCount;
  }

  /** Fetches the next hole, as long as there are players. */
  #goOn(): void {
    if (!this.#writes || this.#idle || this.#closing.signal.aborted || this.#changed) return;
    if (this.#fetches.size > 0 || this.#failures > 0 || this.complete) return;
    const hole = this.#firstHole(this.#asked) ?? this.#firstHole(0);
    if (hole !== undefined) this.#start({ packet: hole });
  }

  #firstHole(from: number): number | undefined {
    for (let at = from; at < this.packetCount; ) {
      const end = Math.max(this.#copy?.have.endOf(at) ?? at, this.#absent.endOf(at));
      if (end === at) return at;
      at = end;
    }
    return undefined;
  }

  async #take(fetch: Fetch, packets: readonly FetchedPacket[]): Promise<void> {
    let { next } = fetch;
    const { repeated } = fetch;
    let [from, whole]: [number, Buffer[]] = [0, []];
    const put = async () => {
      await this.#put(from, whole);
      // Only now: until then players wait for this fetch.
      if (whole.length > 0) fetch.next = from + whole.length;
      whole = [];
    };
    let size = 0;
    for (const { bytes } of packets) size += bytes.length;
    this.#options.onFetched?.(size);
    for (const { location, bytes } of packets) {
      if (location >= this.packetCount) {
        throw new WmError('WM_PROTOCOL', `The origin sends packet ${location} of ${this.packetCount}.`);
      }
      if (next === undefined) {
        next = location;
        fetch.next = location;
        fetch.begin(location);
      }
      if (location < next) {
        if (++fetch.repeated <= Math.max(MAX_REPEATED, 4 * this.#near)) continue;
        throw new WmError('WM_PROTOCOL', `The origin sends packet ${location} after ${next - 1}, again and again.`);
      }
      const packet = restorePadding(parsePacket(bytes), this.packetSize);
      if (location > next) {
        await put();
        await this.#leftOut(next, location);
        fetch.next = location;
      }
      if (whole.length === 0) from = location;
      whole.push(packet);
      next = location + 1;
    }
    await put();
    fetch.brought += packets.length - (fetch.repeated - repeated);
    if (fetch.brought > NEAR_PACKETS) this.#failures = 0;
    this.#wake();
    while (this.#isFarAhead(fetch)) {
      this.#waitsForRoom = true;
      await this.#news(fetch.abort.signal);
      this.#waitsForRoom = false;
    }
  }

  /** What no disk keeps is fetched no faster than it is played. */
  #isFarAhead({ next = 0, abort }: Fetch): boolean {
    if (this.#writes || abort.signal.aborted || !this.#memory.full) return false;
    const half = this.#memory.bytes / this.packetSize / 2;
    return next > this.#asked + half;
  }

  /** The origin has nothing up to a packet: zeros in its place, which nobody takes for a packet. */
  async #leftOut(next: number, until: number): Promise<void> {
    const end = Math.min(until, this.#copy?.have.nextOf(next) ?? until);
    if (!this.#writes || end - next > LONGEST_GAP) {
      this.#absent.add(next, end);
      return;
    }
    const nothing = Buffer.alloc(this.packetSize);
    await this.#put(
      next,
      Array.from({ length: end - next }, () => nothing),
    );
  }

  /** The origin has ended before the end that its header tells; it may have more another time. */
  #endsEarly({ next }: Fetch): void {
    if (next !== undefined)
      this.#absent.add(next, Math.min(this.#copy?.have.nextOf(next) ?? this.packetCount, this.packetCount));
  }

  async #put(from: number, packets: readonly Buffer[]): Promise<void> {
    if (packets.length === 0) return;
    const size = packets.length * this.packetSize;
    if (this.#writes && (await this.#mayWrite(size))) {
      try {
        await this.#copy!.write(from, Buffer.concat(packets));
        return;
      } catch (error) {
        this.#diskFull(messageOf(error));
      }
    }
    for (const [index, packet] of packets.entries()) this.#memory.put(from + index, packet);
  }

  async #mayWrite(size: number): Promise<boolean> {
    this.#room -= size;
    if (this.#room >= 0) return true;
    const wanted = Math.max(ROOM, size);
    if ((await this.#options.makeRoom?.(wanted)) === false) {
      this.#diskFull('everything in it is being played');
      return false;
    }
    this.#room = wanted - size;
    return true;
  }

  #diskFull(reason: string): void {
    if (!this.#writes) return;
    this.#writes = false;
    this.#options.onDiskFull?.(reason);
  }

  #locateAtOrigin(milliseconds: number): Promise<number> {
    const known = this.#located.get(milliseconds);
    if (known) return known;
    const located = this.#start({ time: milliseconds }).began;
    if (this.#located.size >= MAX_LOCATED) this.#located.clear();
    this.#located.set(milliseconds, located);
    located.catch(() => this.#located.delete(milliseconds));
    return located;
  }
}
