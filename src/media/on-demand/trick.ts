import type { DataPacket, Payload } from '../../asf/packet.js';
import type { OnDemandBatch } from './batch.js';
import type { KeyFrameMap, KeyFramePlace, PacketPlace } from './key-frames.js';
import type { DueCheck, OnDemandItem, ReaderOptions } from './options.js';
import { wirePacket } from './prepare.js';
import type { PacketStore } from './store.js';

/** Pictures that follow faster than this, in ms of the viewer's time, are skipped. */
const SHORTEST_INTERVAL = 100;
/** A key frame without a payload for this many bytes is over. */
const MAX_GAP = 1024 * 1024;

/** A key frame that is being sent. */
interface OpenFrame {
  readonly key: KeyFramePlace;
  /** The next packet to examine. */
  packet: number;
  /** Bytes of the object found so far. */
  filled: number;
  /** Bytes; -1 before the first payload. */
  size: number;
  /** Bytes of packets since its last payload. */
  gap: number;
  done: boolean;
}

/**
 * Plays only the key frames of the video, fast or in reverse ([MS-WMSP] 2.2.1.4.22, 4.9). Each key frame is sent whole,
 * in the order of its packets; in reverse, the key frames follow in descending order. Timestamps stay unchanged. If
 * more than ten a second would be shown, some are skipped: a player could not take the bytes of all.
 */
export class TrickPlay {
  readonly #file: PacketStore;
  readonly #keys: KeyFrameMap;
  readonly #options: ReaderOptions;
  readonly #isChosen: (stream: number) => boolean;
  readonly #interval: number;
  readonly #maxDuration: number;
  #place: PacketPlace;
  #frame: OpenFrame | undefined;
  #firstTime: number | undefined;
  #lastTime: number | undefined;

  /**
   * @param maxDuration ms of media; undefined plays to the end
   * @param isChosen returns true if the key frames of a stream are to be sent, according to the current choice
   */
  constructor(
    file: PacketStore,
    keys: KeyFrameMap,
    options: ReaderOptions,
    maxDuration: number | undefined,
    isChosen: (stream: number) => boolean,
  ) {
    this.#file = file;
    this.#keys = keys;
    this.#options = options;
    this.#isChosen = isChosen;
    this.#maxDuration = maxDuration ?? Number.POSITIVE_INFINITY;
    this.#interval = SHORTEST_INTERVAL * Math.abs(options.rate);
    this.#place = { packet: options.from, order: options.rate < 0 ? Number.POSITIVE_INFINITY : 0 };
    if (options.start !== undefined) this.#firstTime = (options.start + file.preroll) >>> 0;
  }

  get position(): number {
    return this.#frame?.packet ?? this.#place.packet;
  }

  /**
   * Returns the due part of the next key frame, as much as fits one batch. @throws WmError WM_NO_INPUT if the disk
   * fails
   */
  async next(pacer: DueCheck): Promise<OnDemandBatch> {
    const frame = this.#frame ?? (await this.#nextFrame());
    if (frame === undefined) return this.#end();
    const { items, release } = await this.#readFrame(frame, pacer);
    this.#frame = frame.done ? undefined : frame;
    return { items, end: false, release };
  }

  #end(): OnDemandBatch {
    const isBackwards = this.#options.rate < 0;
    return isBackwards ? { items: [], end: true, rewound: true } : { items: [], end: true };
  }

  async #nextFrame(): Promise<OpenFrame | undefined> {
    const isBackwards = this.#options.rate < 0;
    const accept = (key: KeyFramePlace): boolean => this.#isChosen(key.stream) && this.#isFarEnough(key);
    const key = isBackwards
      ? await this.#keys.previous(this.#place, accept)
      : await this.#keys.next(this.#place, accept);
    if (key === undefined) return undefined;
    this.#firstTime ??= key.time;
    this.#lastTime = key.time;
    this.#place = isBackwards ? key : { packet: key.packet, order: key.order + 1 };
    const played = (isBackwards ? this.#firstTime - key.time : key.time - this.#firstTime) | 0;
    if (played >= this.#maxDuration) return undefined;
    return { key, packet: key.packet, filled: 0, size: -1, gap: 0, done: false };
  }

  #isFarEnough({ time }: KeyFramePlace): boolean {
    return this.#lastTime === undefined || Math.abs((time - this.#lastTime) | 0) >= this.#interval;
  }

  async #readFrame(frame: OpenFrame, pacer: DueCheck): Promise<{ items: OnDemandItem[]; release: () => void }> {
    const run = await this.#file.borrow(frame.packet, this.#file.batchPackets);
    const items: OnDemandItem[] = [];
    const release = () => run.release();
    for (let packet = run.next(); packet !== undefined && !frame.done; packet = run.next()) {
      frame.packet = run.location;
      // Checked before the payloads, which may be examined only once.
      if (packet.payloads.some(({ stream }) => stream === frame.key.stream) && !pacer.due(packet.sendTime))
        return { items, release };
      const wire = this.#wire(packet, frame, frame.packet);
      pacer.given(wire?.length ?? 0);
      if (wire !== undefined) items.push({ location: frame.packet, bytes: wire, sendTime: packet.sendTime });
      frame.packet++;
    }
    if (!frame.done) frame.packet = run.from + run.count;
    if (frame.packet >= this.#file.packetCount || run.short) frame.done = true;
    return { items, release };
  }

  #wire(packet: DataPacket, frame: OpenFrame, location: number): Buffer | undefined {
    const { padding } = this.#options;
    frame.gap += packet.bytes.length;
    const wire = wirePacket(packet, this.#file.packetSize, padding, (payload, order) =>
      takePayload(frame, payload, location, order),
    );
    if (frame.gap > MAX_GAP) frame.done = true;
    return wire;
  }
}

/** Returns true if the payload is the next one of the key frame. */
function takePayload(frame: OpenFrame, payload: Payload, location: number, order: number): boolean {
  const { key } = frame;
  if (frame.done || payload.stream !== key.stream) return false;
  if (frame.size === -1) {
    if (location !== key.packet || order !== key.order) return false;
    // A payload without a size is a whole object.
    frame.size = payload.objectSize === -1 ? payload.dataLength : payload.objectSize;
  } else if (payload.offset !== frame.filled || payload.mediaObjectNumber !== key.number) {
    frame.done = true;
    return false;
  }
  frame.filled += payload.dataLength;
  frame.gap = 0;
  frame.done = frame.filled >= frame.size;
  return true;
}
