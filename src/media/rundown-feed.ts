import { startPacket } from '../asf/filter.js';
import type { AsfHeader } from '../asf/header.js';
import { type DataPacket, packetStartsKeyFrame, parsePacket } from '../asf/packet.js';
import type { AsfEvent, AsfSource } from './events.js';
import { PacketClock } from './packet-clock.js';

/** How much is read ahead of what is sent, in ms of media, so that the next source is ready when one ends. */
const READ_AHEAD = 2_000;
/** The most that is kept of a source, in bytes. */
const MOST_BYTES = 8 * 1024 * 1024;
/** After this much media without a key frame a source begins without one, in ms. */
const KEY_FRAME_PATIENCE = 10_000;

/** How a source is read. */
export interface FeedOptions {
  /** True if its first packet may begin in the middle of pictures that nobody has. */
  readonly unclean?: boolean | undefined;
  /** Called whenever something has arrived, or the source has ended. */
  readonly onChange: () => void;
}

/** A source that is read ahead, and that may wait for its turn. */
export class Feed {
  readonly #source: Promise<AsfSource>;
  readonly #onChange: () => void;
  readonly #clock = new PacketClock();
  /** Events and when they are due, in ms from the start of the source. */
  #queue: Array<{ readonly event: AsfEvent; readonly time: number }> = [];
  #bytes = 0;
  #header: AsfHeader | undefined;
  #videoStreams: ReadonlySet<number> = new Set();
  #drained: () => void = () => {};
  /** Since when a key frame is waited for, in ms of the source; undefined if the next packet may begin. */
  #seekingSince: number | undefined;
  #discards = false;
  #isClosed = false;
  #ended = false;
  #failure: { readonly error: unknown } | undefined;
  /** Media time of the source of what was taken, in ms. */
  #position = 0;

  /** @param open may fail, which is the failure of the feed */
  constructor(open: () => AsfSource | Promise<AsfSource>, { unclean = false, onChange }: FeedOptions) {
    this.#onChange = onChange;
    if (unclean) this.#seekingSince = 0;
    // In a later turn, so that its owner has it when the first change comes.
    this.#source = Promise.resolve().then(open);
    void this.#read();
  }

  /** The header that applies to the next packet. */
  get header(): AsfHeader | undefined {
    return this.#header;
  }

  /** True if it can go on the air: a header and a packet to start with are there. */
  get ready(): boolean {
    return this.#header !== undefined && this.#queue.some(({ event }) => event.type === 'packet');
  }

  /** True if the source has ended and everything was taken. */
  get finished(): boolean {
    return this.#ended && this.#queue.length === 0;
  }

  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Ms of media from the start of the source. */
  get position(): number {
    return this.#position;
  }

  /** Takes the next event; undefined if nothing waits. */
  take(): AsfEvent | undefined {
    const next = this.#queue.shift();
    if (next === undefined) return undefined;
    const { event, time } = next;
    this.#position = time;
    if (event.type === 'header') this.#begin(event.header);
    if (event.type === 'packet') this.#bytes -= event.packet.bytes.length;
    this.#drained();
    return event;
  }

  /** Drops what arrives from now on, until {@link restart}. */
  discard(): void {
    this.#discards = true;
    this.#clear();
  }

  /** Begins again with the next key frame. */
  restart(): void {
    this.#discards = false;
    this.#clear();
    this.#seekingSince = this.#clock.now;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#clear();
    const source = await this.#source.catch(() => undefined);
    await source?.close();
  }

  async #read(): Promise<void> {
    try {
      for await (const event of await this.#source) {
        if (this.#isClosed) break;
        this.#take(event);
        while (this.#isFull && !this.#isClosed) {
          await new Promise<void>((resolve) => {
            this.#drained = resolve;
          });
        }
      }
    } catch (error) {
      this.#failure = { error };
    }
    this.#ended = true;
    this.#onChange();
  }

  #take(event: AsfEvent): void {
    if (event.type === 'header') {
      // Only the first one: later ones count when their turn comes.
      if (this.#header === undefined) this.#begin(event.header);
      else this.#queue.push({ event, time: this.#clock.now });
      return;
    }
    if (event.type === 'end') return;
    const time = this.#clock.of(event.packet);
    const packet = this.#discards ? undefined : this.#startingWith(event.packet, time);
    if (packet === undefined) {
      this.#position = time;
      return;
    }
    this.#queue.push({ event: { type: 'packet', packet }, time });
    this.#bytes += packet.bytes.length;
    this.#onChange();
  }

  /** Returns the packet as a decoder can begin with it; undefined if the start is still to come. */
  #startingWith(packet: DataPacket, time: number): DataPacket | undefined {
    if (this.#seekingSince === undefined) return packet;
    const isStart = this.#videoStreams.size === 0 || packetStartsKeyFrame(packet, this.#videoStreams);
    if (!isStart && time - this.#seekingSince < KEY_FRAME_PATIENCE) return undefined;
    this.#seekingSince = undefined;
    const bytes = isStart ? startPacket(packet, this.#videoStreams) : packet.bytes;
    return bytes === undefined || bytes === packet.bytes ? packet : parsePacket(bytes);
  }

  #begin(header: AsfHeader): void {
    this.#header = header;
    this.#videoStreams = new Set(header.streams.filter(({ type }) => type === 'video').map(({ number }) => number));
  }

  get #isFull(): boolean {
    const [first] = this.#queue;
    return first !== undefined && (this.#clock.now - first.time > READ_AHEAD || this.#bytes > MOST_BYTES);
  }

  #clear(): void {
    this.#queue = [];
    this.#bytes = 0;
    this.#drained();
  }
}
