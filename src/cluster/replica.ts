import { type AsfHeader, parseHeader } from '../asf/header.js';
import { type DataPacket, parsePacket } from '../asf/packet.js';
import { WmError } from '../errors.js';
import type { AsfEvent } from '../media/events.js';
import { LiveStart } from '../media/live-start.js';
import type { Repeats } from '../media/repeats.js';
import { Refusal } from '../refusal.js';
import { type Batch, decodeMedia, type Notice, type Place } from './batch.js';
import { BusError, type ClusterBus } from './bus.js';
import type { Calls } from './calls.js';
import type { OwnedPoint } from './directory.js';
import type { FollowAnswer } from './sender.js';
import { type NodeRun, type Subjects, tokenOf } from './subjects.js';

/** Bytes of batches that wait while earlier packets are fetched; beyond it the oldest are dropped. */
const MAX_WAITING = 32 * 1024 * 1024;
/** The largest header, in bytes. */
const MAX_HEADER = 33 * 1024 * 1024;
/** The longest that an owner's source may take to start, in ms. */
const FOLLOW_TIMEOUT = 15_000;
const FETCH_TIMEOUT = 3_000;
/** The pause before the next try, in ms; doubles up to the second. */
const PAUSE = 100;
const LONGEST_PAUSE = 1_000;

/** What a replica needs. */
export interface ReplicaOptions {
  readonly bus: ClusterBus;
  readonly calls: Calls;
  readonly subjects: Subjects;
  readonly self: NodeRun;
  readonly owner: OwnedPoint;
  /** The pulls of servers that wait for it, as in the header field that lists them. */
  readonly pulls: string;
  /** True if players have had packets of an earlier owner: they get none of the past again. */
  readonly continues: boolean;
  /** Recognises what they have had. */
  readonly repeats?: Repeats | undefined;
  /** Takes what the point sends. */
  readonly event: (event: AsfEvent) => void;
  /** Called when the owner says that it does not send the point. */
  readonly refused: (error: WmError) => void;
  /** Called about packets that were lost on the way. */
  readonly onLost: (packets: number) => void;
}

/**
 * One point of another node, in one epoch. Subscribes first, then fetches the header and what is kept of the past, and
 * drops what comes twice. Packets that are lost on the way are fetched; if the owner does not have them any longer,
 * everything up to the next key frame is left out.
 */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #unsubscribe: () => void;
  #waiting: (Batch | Notice)[] = [];
  #waitingBytes = 0;
  /** The header that applies, and the next packet that is expected; undefined before the first header. */
  #at: { generation: number; location: number } | undefined;
  #header: AsfHeader | undefined;
  /** Waits for a key frame after a loss. */
  #start: LiveStart | undefined;
  /** The first packet under this header that is of interest. */
  #first = 0;
  #repeats: Repeats | undefined;
  #fetching = false;
  #over = false;
  /** Why the last request failed. */
  failure: unknown;
  /** When something last arrived, by `performance.now`. */
  heardAt = performance.now();

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#repeats = options.repeats;
    const { bus, subjects, owner } = options;
    this.#unsubscribe = bus.subscribe(subjects.media(owner, owner.epoch, tokenOf(owner.path)!), ({ data }) => {
      this.#take(data);
    });
    void this.#fetch();
  }

  get owner(): OwnedPoint {
    return this.#options.owner;
  }

  /** True once the header was written. */
  get begun(): boolean {
    return this.#header !== undefined;
  }

  /** The owner says where it is; null if it does not send the point any longer. */
  told(place: Place | null): void {
    if (this.#over || this.#fetching) return;
    const at = this.#at;
    const isBehind = !place || !at || place.generation !== at.generation || place.location > at.location;
    // What is under way may close the gap by itself; what was not is fetched at the next beat.
    if (isBehind && (place === null || performance.now() - this.heardAt > 1_000)) void this.#fetch();
  }

  /** Fetches what was missed while there was no connection. */
  reconnected(): void {
    if (!this.#over && !this.#fetching) void this.#fetch();
  }

  close(): void {
    this.#over = true;
    this.#unsubscribe();
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #take(data: Uint8Array): void {
    if (this.#over) return;
    this.heardAt = performance.now();
    let message: Batch | Notice;
    try {
      // A copy: packets are kept, and the bytes are the bus's.
      message = decodeMedia(Buffer.from(data));
    } catch {
      // Like one that was lost: the next one shows what is missing.
      return;
    }
    if (this.#fetching) this.#wait(message, data.length);
    else if (!this.#apply(message)) {
      this.#wait(message, data.length);
      void this.#fetch();
    }
  }

  #wait(message: Batch | Notice, size: number): void {
    this.#waiting.push(message);
    this.#waitingBytes += size;
    while (this.#waitingBytes > MAX_WAITING) {
      const dropped = this.#waiting.shift()!;
      this.#waitingBytes -= dropped.type === 'batch' ? dropped.packets.reduce((sum, each) => sum + each.length, 0) : 0;
      if (this.#waiting.length === 0) this.#waitingBytes = 0;
    }
  }

  /** @returns false if something before it is missing */
  #apply(message: Batch | Notice): boolean {
    const at = this.#at;
    if (!at || message.generation > at.generation) return false;
    // Of an earlier header; or a header that is known.
    if (message.generation < at.generation || message.type === 'header') return true;
    if (message.location > at.location) return false;
    if (message.type === 'batch') this.#write(message);
    else this.#end();
    return true;
  }

  /** Writes the packets of a batch that are new. */
  #write({ location, packets }: Batch): void {
    const at = this.#at!;
    for (let index = Math.max(0, at.location - location); index < packets.length && !this.#over; index++) {
      at.location = location + index + 1;
      const packet = parsed(packets[index]!);
      if (!packet) {
        this.#lost(1);
        continue;
      }
      if (this.#repeats?.has(packet)) continue;
      this.#repeats = undefined;
      for (const each of this.#start?.packets(packet) ?? [packet])
        this.#options.event({ type: 'packet', packet: each });
      if (this.#start?.waiting === false) this.#start = undefined;
    }
  }

  /** After a loss everything up to the next key frame is left out. */
  #lost(packets: number): void {
    this.#options.onLost(packets);
    this.#start = new LiveStart(this.#header!, new Set(this.#header!.streams.map(({ number }) => number)));
  }

  #end(): void {
    this.close();
    this.#options.event({ type: 'end', moreEntries: false, reason: 0 });
  }

  /** Fetches all that is missing, until live batches follow. */
  async #fetch(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    for (let pause = PAUSE; !this.#over; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        await this.#catchUp();
        if (this.#over || this.#drain()) break;
        pause = PAUSE / 2;
      } catch (error) {
        if (this.#over) break;
        this.failure = error;
        if (this.#isFinal(error)) {
          this.close();
          this.#options.refused(error);
          break;
        }
      }
      await new Promise((resolve) => {
        setTimeout(resolve, pause);
      });
    }
    this.#fetching = false;
  }

  /** True if asking again is of no use. */
  #isFinal(error: unknown): error is WmError {
    // Its header or its epoch has just changed.
    if (error instanceof BusError || (error instanceof Refusal && error.kind === 'gone')) return false;
    return error instanceof WmError;
  }

  /** Writes what came while earlier packets were fetched. @returns false if more is missing */
  #drain(): boolean {
    while (this.#waiting.length > 0 && !this.#over) {
      if (!this.#apply(this.#waiting[0]!)) return false;
      this.#waiting.shift();
    }
    this.#waitingBytes = 0;
    return true;
  }

  async #catchUp(): Promise<void> {
    const { calls, owner, self, pulls } = this.#options;
    const { path, epoch } = owner;
    const wish = { path, epoch, pulls, from: self };
    const { text } = await calls.ask<FollowAnswer>(owner, 'follow', wish, { timeout: FOLLOW_TIMEOUT });
    if (this.#over) return;
    if (this.#at?.generation !== text.generation) await this.#begin(text);
    for (let next = text.location; !this.#over && this.#at!.location < next; ) {
      const asked = { path, epoch, generation: text.generation, location: this.#at!.location };
      const answer = await calls.ask<{ next: number }>(owner, 'history', asked, { timeout: FETCH_TIMEOUT });
      if (this.#over) return;
      const batch = decodeMedia(Buffer.from(answer.bytes));
      if (batch.type !== 'batch' || batch.generation !== text.generation) throw malformed();
      this.heardAt = performance.now();
      this.#skipTo(batch.location);
      if (batch.packets.length === 0) break;
      this.#write(batch);
      next = Math.min(Number(answer.text.next), Number.MAX_SAFE_INTEGER);
    }
  }

  /** Packets before this one are lost. */
  #skipTo(location: number): void {
    const at = this.#at!;
    if (location <= at.location) return;
    // The first packets that a player gets are no loss.
    if (at.location > this.#first) this.#lost(location - at.location);
    at.location = location;
  }

  /** Fetches and writes another header. */
  async #begin({ generation, headerSize, first }: FollowAnswer): Promise<void> {
    const header = await this.#fetchHeader(generation, headerSize);
    if (this.#over) return;
    const { continues, event } = this.#options;
    // Within an epoch, another header is another entry, however much it is like the last one.
    if (this.#header) event({ type: 'end', moreEntries: true, reason: 1 });
    this.#first = this.#header || !continues ? 0 : first;
    this.#header = header;
    this.#start = undefined;
    this.#at = { generation, location: this.#first };
    event({ type: 'header', header });
  }

  async #fetchHeader(generation: number, size: number): Promise<AsfHeader> {
    if (!Number.isSafeInteger(size) || size > MAX_HEADER) throw malformed();
    const { calls, owner } = this.#options;
    const chunks: Buffer[] = [];
    for (let offset = 0; offset < size && !this.#over; ) {
      const asked = { path: owner.path, epoch: owner.epoch, generation, offset };
      const { bytes } = await calls.ask(owner, 'header', asked, { timeout: FETCH_TIMEOUT });
      if (bytes.length === 0 || offset + bytes.length > size) throw malformed();
      chunks.push(Buffer.from(bytes));
      offset += bytes.length;
    }
    return parseHeader(Buffer.concat(chunks));
  }
}

/** Parses a packet; undefined if it is damaged, which is like lost. */
function parsed(bytes: Buffer): DataPacket | undefined {
  try {
    return parsePacket(bytes);
  } catch {
    return undefined;
  }
}

function malformed(): WmError {
  return new WmError('WM_PROTOCOL', 'The node that owns a point answered with something else.');
}
