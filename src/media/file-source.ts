import { constants, createReadStream, openSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { checkTexts, type LiveHeaderOptions, liveHeader, sameLayout } from '../asf/edit.js';
import { AsfError } from '../asf/error.js';
import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { type AsfItem, AsfReader } from '../asf/reader.js';
import { declaredPackets } from '../asf/scan.js';
import { LARGEST_CARRIED_PACKET, SPLIT_SIZE, splitPacket, withPacketSize } from '../asf/split.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSource } from './events.js';
import { type Clock, Pacer, systemClock } from './pacing.js';
import { PacketClock } from './packet-clock.js';
import { SingleReading, withEnd } from './source.js';
import { systemErrorCode, systemErrorReason } from './system-error.js';
import { Timeline } from './timeline.js';

/** @public */
export interface FileSourceOptions {
  /** An ASF file (`.asf`, `.wmv`, `.wma`), or `-` for standard input. */
  readonly path: string;
  /** True to start over when the file ends, as one continuous stream; not for standard input. Default false. */
  readonly loop?: boolean | undefined;
  /** True to yield packets when they are due by their times, not as fast as they are taken. Default false. */
  readonly pace?: boolean | undefined;
  /** Seconds of media, counted by send times, after which the source ends. Default: all. */
  readonly duration?: number | undefined;
  /**
   * True for the header of a live stream, as pushing needs it; packets too large for the protocols are split. Options
   * set texts and rates. Default: `loop`.
   */
  readonly live?: boolean | LiveHeaderOptions | undefined;
  /** Receives a sentence if the file is truncated or damaged, and yet plays. */
  readonly warn?: ((message: string) => void) | undefined;
  readonly clock?: Clock | undefined;
  /** The input for `-`; default the standard input of this process. */
  readonly stdin?: Readable | undefined;
}

/** Small, so that a paced source holds little; the cost of a read is negligible next to that of its packets. Bytes. */
const READ_SIZE = 64 * 1024;

/** Paced packets leave this many ms early, several at once, because each delivery wakes everybody on its way. */
const EARLY = 250;

/**
 * An ASF file or standard input as a source: its header, its packets unchanged, an end event. Holds no more than one
 * read in memory. A file that ends too early plays as far as it goes, and `warn` says what is missing.
 *
 * The iteration throws, after an end event if there was a header:
 * @throws WmError WM_NO_INPUT if the file cannot be opened or read, WM_BAD_INPUT if it is empty, a folder or without
 *   packets, WM_ASF_MALFORMED if it is not ASF (the message says what it looks like); immediately WM_USAGE for a loop
 *   of standard input and for texts that are too long
 * @public
 */
export function fileSource(options: FileSourceOptions): AsfSource {
  return new FileSource(options);
}

class FileSource implements AsfSource {
  readonly #options: FileSourceOptions;
  readonly #name: string;
  readonly #pacer: Pacer | undefined;
  readonly #closed = new AbortController();
  readonly #reading = new SingleReading();
  #stream: Readable | undefined;
  #header: AsfHeader | undefined;
  #timeline = new Timeline();
  readonly #times = new PacketClock();
  /** True if packets are larger than the protocols carry, and must be split. */
  #isSplit = false;

  constructor(options: FileSourceOptions) {
    if (options.path === '-' && options.loop) {
      throw new WmError('WM_USAGE', 'Standard input can be read only once; --loop needs a file.');
    }
    if (typeof options.live === 'object') {
      const { title, author, copyright, description, rating } = options.live;
      checkTexts({ title, author, copyright, description, rating });
    }
    this.#options = options;
    this.#name = options.path === '-' ? 'Standard input' : options.path;
    this.#pacer = options.pace ? new Pacer(options.clock ?? systemClock, { early: EARLY }) : undefined;
  }

  [Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    this.#reading.begin();
    return withEnd(this.#events(), () => this.#header !== undefined);
  }

  close(): Promise<void> {
    this.#closed.abort();
    this.#stream?.destroy();
    return Promise.resolve();
  }

  async *#events(): AsyncGenerator<AsfEvent, void, undefined> {
    try {
      let first = true;
      do {
        const reader = new AsfReader();
        const packets = yield* this.#pass(reader);
        if (packets === undefined) break;
        if (first) this.#warnings(reader, packets);
        if (packets === 0 && this.#options.loop) {
          throw new WmError('WM_BAD_INPUT', `${this.#name} holds a header but no packets.`);
        }
        first = false;
      } while (this.#options.loop);
    } catch (error) {
      if (!this.#closed.signal.aborted) throw error;
    }
  }

  /**
   * Reads the file from its first byte to its last. Returns the number of packets, or undefined if the source ends
   * here.
   */
  async *#pass(reader: AsfReader): AsyncGenerator<AsfEvent, number | undefined, undefined> {
    let packets = 0;
    for await (const items of this.#items(reader)) {
      for (const item of items) {
        if (this.#closed.signal.aborted) return undefined;
        if (item.type === 'header') yield* this.#headerEvents(item.header);
        if (item.type !== 'packet') continue;
        packets++;
        for (const each of this.#carried(item.packet)) {
          const packet = this.#timeline.packet(each);
          if (!(await this.#isDue(packet))) return undefined;
          yield { type: 'packet', packet };
        }
      }
    }
    return packets;
  }

  /** Waits until a packet is due; returns false if the source ends before it. */
  async #isDue(packet: DataPacket): Promise<boolean> {
    const time = this.#times.of(packet);
    if (time >= (this.#options.duration ?? Number.POSITIVE_INFINITY) * 1000) return false;
    await this.#pacer?.wait(time, this.#closed.signal);
    return !this.#closed.signal.aborted;
  }

  /** Returns the packet in the form that protocols carry. */
  #carried(packet: DataPacket): readonly DataPacket[] {
    return this.#isSplit ? splitPacket(packet, SPLIT_SIZE) : [packet];
  }

  *#headerEvents(header: AsfHeader): Generator<AsfEvent, void, undefined> {
    const last = this.#header;
    this.#header = header;
    if (last !== undefined) {
      if (sameLayout(last, header)) {
        this.#timeline.restart();
        return;
      }
      // The file was replaced between two rounds of the loop.
      this.#timeline = new Timeline();
      yield { type: 'end', moreEntries: true, reason: 1 };
    }
    const { live = this.#options.loop ?? false } = this.#options;
    this.#isSplit = live !== false && header.packetSize > LARGEST_CARRIED_PACKET;
    if (live === false) {
      yield { type: 'header', header };
      return;
    }
    const carried = this.#isSplit ? withPacketSize(header, SPLIT_SIZE) : header;
    yield { type: 'header', header: liveHeader(carried, live === true ? {} : live) };
  }

  async *#items(reader: AsfReader): AsyncGenerator<AsfItem[], void, undefined> {
    let bytes = 0;
    try {
      for await (const chunk of this.#chunks()) {
        bytes += chunk.length;
        yield reader.push(chunk);
      }
      if (bytes === 0) throw new WmError('WM_BAD_INPUT', `${this.#name} is empty.`);
      yield reader.end();
    } catch (error) {
      if (error instanceof AsfError) {
        throw new WmError(error.code, `${this.#name} cannot be played: ${error.message}`, { cause: error });
      }
      throw error;
    }
  }

  async *#chunks(): AsyncGenerator<Buffer, void, undefined> {
    const { path, stdin } = this.#options;
    const stream = path === '-' ? (stdin ?? process.stdin) : await this.#open(path);
    this.#stream = stream;
    if (this.#closed.signal.aborted) stream.destroy();
    const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await chunks.next().catch((error: unknown) => Promise.reject(this.#readError(error)));
        if (next.done) return;
        yield next.value;
      }
    } finally {
      stream.destroy();
    }
  }

  async #open(path: string): Promise<Readable> {
    const isPipe = await stat(path).then(
      (found) => found.isFIFO(),
      () => false,
    );
    if (!isPipe) return createReadStream(path, { highWaterMark: READ_SIZE });
    try {
      // Otherwise opening a pipe waits for a writer, and that wait cannot be aborted: it even delays the exit of the
      // process.
      const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
      return new Socket({ fd, readable: true, writable: false });
    } catch (error) {
      throw this.#readError(error);
    }
  }

  #readError(error: unknown): WmError {
    const code = systemErrorCode(error);
    if (code === 'EISDIR')
      return new WmError('WM_BAD_INPUT', `${this.#name} is a folder, not a file.`, { cause: error });
    const reason = code === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
    return new WmError('WM_NO_INPUT', `${this.#name} ${reason}.`, { cause: error });
  }

  #warnings(reader: AsfReader, packets: number): void {
    const { header, damagedPackets, leftOutPackets, skippedBytes, truncated, cutPacket } = reader;
    if (header === undefined) return;
    const found = packets + leftOutPackets;
    const expected = (header.broadcast ? undefined : declaredPackets(header)) ?? 0;
    const missing = Math.max(expected - found, 0);
    if (missing > 0) {
      const percent = Math.max(1, Math.round((100 * missing) / expected));
      this.#warn(`is cut: the last ${missing} of ${expected} packets (${percent} %) are missing`);
    } else if (truncated && cutPacket) {
      this.#warn(`is cut in the middle of a packet, after ${packets} packets`);
    }
    if (damagedPackets > 0) {
      this.#warn(`is damaged: ${damagedPackets} of ${found} packets were left out or are incomplete`);
    }
    if (skippedBytes > 0) this.#warn(`is damaged: ${skippedBytes} bytes between its packets were skipped`);
  }

  #warn(what: string): void {
    this.#options.warn?.(`${this.#name} ${what}.`);
  }
}
