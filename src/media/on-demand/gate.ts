import type { ThinningLevel } from '../../asf/filter.js';
import type { AsfHeader } from '../../asf/header.js';
import type { Payload } from '../../asf/packet.js';
import type { StreamChoice } from './options.js';
import { keyFrameStreams } from './seek.js';

/** Stream numbers have 7 bits. */
const STREAM_NUMBERS = 128;
/** A stream without a key frame for this long, in ms of media, begins with any object: better than nothing. */
const PATIENCE = 10_000;

/** The streams of a file as a gate sees them; shared by its readers. */
export class GateStreams {
  /** 1 for the streams that must begin at a key frame. */
  readonly keyed = new Uint8Array(STREAM_NUMBERS);
  /** The types of the declared streams. */
  readonly types = new Map<number, string>();

  constructor(header: AsfHeader) {
    for (const number of keyFrameStreams(header)) this.keyed[number] = 1;
    for (const { number, type } of header.streams) this.types.set(number, type);
  }
}

/** Decides which payloads a player gets. */
export interface PayloadFilter {
  /** True if every payload passes. */
  readonly open: boolean;
  /** Call once for every payload, in order. */
  passes(payload: Payload): boolean;
}

function passesAt(level: number | undefined, key: boolean, isKeyed: boolean): boolean {
  return level === 0 || (level === 1 && (key || !isKeyed));
}

/**
 * Decides which payloads a player gets (asf.md 10.4, 10.5). A stream that is turned on begins with a whole object, a
 * video stream with a key frame if one comes within ten seconds. A stream of the same type that is turned off by the
 * same choice counts as replaced by it and goes on until then ([MS-WMSP] 3.2.5.7).
 */
export class StreamGate implements PayloadFilter {
  readonly #streams: GateStreams;
  /** By stream: the current level. */
  readonly #levels = new Uint8Array(STREAM_NUMBERS).fill(2);
  /** By stream: the level after its next start, if that lets more through. */
  readonly #wanted = new Uint8Array(STREAM_NUMBERS).fill(2);
  /** By stream: the presentation time of the first object held back since the choice, in ms. */
  readonly #waitingSince = new Map<number, number>();
  /** By stream: the stream whose start ends it; 0 for none. */
  readonly #replacedBy = new Uint8Array(STREAM_NUMBERS);
  #settled = false;
  #open = false;
  #key: string | undefined;

  /**
   * @param atStart true if everything passes from the first packet on: it begins the file, or the player resumes there
   */
  constructor(streams: GateStreams, choice: StreamChoice, atStart: boolean) {
    this.#streams = streams;
    this.choose(choice);
    if (!atStart) return;
    this.#levels.set(this.#wanted);
    this.#settle();
  }

  get open(): boolean {
    return this.#open;
  }

  /**
   * Names what passes, while that depends on the payload alone: gates of one file with the same key let the same payloads
   * pass. Undefined while a stream waits for its start.
   */
  get key(): string | undefined {
    return this.#key;
  }

  /** Returns what passes, while there is a {@link key}, as a filter without a state. */
  fixed(): PayloadFilter {
    const levels = this.#levels.slice();
    const { keyed } = this.#streams;
    const passes = ({ stream, key }: Payload) => passesAt(levels[stream], key, keyed[stream] === 1);
    return { open: this.#open, passes };
  }

  /** Changes the choice from now on. */
  choose(choice: StreamChoice): void {
    for (let stream = 0; stream < STREAM_NUMBERS; stream++) {
      const level = choice.level(stream);
      // Only video carries the key bit.
      this.#wanted[stream] = level === 1 && this.#streams.keyed[stream] === 0 ? 0 : level;
      // Undeclared streams cannot be waited for.
      if (!this.#streams.types.has(stream)) this.#levels[stream] = this.#wanted[stream]!;
    }
    this.#replacedBy.fill(0);
    this.#waitingSince.clear();
    const begun = new Map<string, number[]>();
    for (const [stream, type] of this.#streams.types) {
      if (this.#levels[stream] !== 2 || this.#wanted[stream] === 2) continue;
      begun.set(type, [...(begun.get(type) ?? []), stream]);
    }
    for (let stream = 0; stream < STREAM_NUMBERS; stream++) {
      if (this.#wanted[stream]! <= this.#levels[stream]!) continue;
      const type = this.#streams.types.get(stream);
      const successors = (type === undefined ? undefined : begun.get(type)) ?? [];
      const successor =
        this.#wanted[stream] === 2 ? (successors.length > 1 ? successors.shift() : successors[0]) : undefined;
      if (successor === undefined) this.#levels[stream] = this.#wanted[stream]!;
      else this.#replacedBy[stream] = successor;
    }
    this.#settle();
  }

  /** Returns the level that was last chosen for a stream. */
  level(stream: number): ThinningLevel {
    return this.#wanted[stream] as ThinningLevel;
  }

  passes(payload: Payload): boolean {
    const { stream, key, offset } = payload;
    const isKeyed = this.#streams.keyed[stream] === 1;
    if (!this.#settled && offset === 0 && this.#wanted[stream]! < this.#levels[stream]!) {
      if (key || !isKeyed || this.#hasWaited(payload)) this.#begin(stream);
    }
    return passesAt(this.#levels[stream], key, isKeyed);
  }

  #hasWaited({ stream, presentationTime }: Payload): boolean {
    const since = this.#waitingSince.get(stream) ?? presentationTime;
    this.#waitingSince.set(stream, since);
    return ((presentationTime - since) | 0) >= PATIENCE;
  }

  #begin(stream: number): void {
    this.#levels[stream] = this.#wanted[stream]!;
    for (let other = 0; other < STREAM_NUMBERS; other++) {
      if (this.#replacedBy[other] !== stream) continue;
      this.#replacedBy[other] = 0;
      this.#levels[other] = this.#wanted[other]!;
    }
    this.#settle();
  }

  #settle(): void {
    this.#settled = this.#wanted.every((level, stream) => level === this.#levels[stream]);
    // Packets rarely contain undeclared streams, and every packet would have to be parsed to check.
    this.#open = this.#settled && [...this.#streams.types.keys()].every((stream) => this.#levels[stream] === 0);
    this.#key = this.#settled ? (this.#open ? '' : String.fromCharCode(...this.#levels)) : undefined;
  }
}
