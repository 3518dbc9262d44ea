import { GUID } from './guid.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE } from './header.js';
import { type DataPacket, type Payload, tryParsePacket } from './packet.js';

/**
 * Packets further in time than this from those around them are noise, unless the next ones are there too. Milliseconds.
 */
const FAR = 60 * 60 * 1000;
/** Candidates that are examined in one search; there is hardly ever one by chance. */
const MAX_TRIES = 64;
/**
 * Enough bytes to recognise what begins at a place: an object's head, or everything before the Send Time of a packet.
 */
export const SCAN_HEAD_SIZE = 24;

/** The index objects that may follow the data. */
export const INDEX_GUIDS: ReadonlySet<string> = new Set([
  GUID.simpleIndexObject,
  GUID.indexObject,
  GUID.mediaObjectIndexObject,
  GUID.timecodeIndexObject,
]);
const OBJECT_IDS = [GUID.headerObject, ...INDEX_GUIDS].map((id) => Buffer.from(id, 'hex'));
const OBJECT_FIRST_BYTES: ReadonlySet<number> = new Set(OBJECT_IDS.map((id) => id[0]!));

/** True if an object begins here that may follow or interrupt the data: an index, or the header of another file. */
export function isObjectAt(bytes: Buffer, at: number): boolean {
  if (!OBJECT_FIRST_BYTES.has(bytes[at]!)) return false;
  return OBJECT_IDS.some((id) => bytes.length >= at + id.length && id.compare(bytes, at, at + id.length) === 0);
}

/** Returns the first place from `from` to `to` where such an object begins, or -1. */
export function findObject(bytes: Buffer, from: number, to: number): number {
  let first = -1;
  for (const id of OBJECT_IDS) {
    const at = bytes.indexOf(id, from);
    if (at !== -1 && at <= to && (first === -1 || at < first)) first = at;
  }
  return first;
}

/**
 * Returns the number of data packets that the header declares, if its fields agree. Undefined if they say nothing or
 * contradict one another: then the data continues until something else begins.
 */
export function declaredPackets({ dataObject, packetSize }: AsfHeader): number | undefined {
  const { size, packetCount } = dataObject;
  const count = (size - BigInt(DATA_OBJECT_HEAD_SIZE)) / BigInt(packetSize);
  if (count <= 0n || count > BigInt(Number.MAX_SAFE_INTEGER)) return undefined;
  if (packetCount !== 0n && packetCount !== 0xffff_ffffn && packetCount !== count) return undefined;
  return Number(count);
}

/** How credible a packet is. */
export type Verdict =
  | 'good'
  /** Its times are far from those around it: noise, unless the packets that follow it are there too. */
  | 'far'
  /** It belongs to streams that the header does not declare. */
  | 'foreign';

/** Signed difference of two times modulo 2^32, in ms. */
const distance = (a: number, b: number): number => (a - b) | 0;

/**
 * Distinguishes data packets from other bytes, for all ways of reading (asf.md 16.6). Nearly any bytes can be parsed as
 * a packet, so one is credible only if it has payloads of declared streams and times close to the others'.
 */
export class PacketScanner {
  readonly packetSize: number;
  /** 1: declared. 2: its times are judged as well; those of scripts and pictures may be anywhere. */
  readonly #streams = new Uint8Array(128);
  readonly #preroll: number;
  /**
   * Error correction data and Property Flags of the last packet that was followed; the next one nearly always has the
   * same.
   */
  #correction: Buffer = Buffer.from([0x82, 0, 0]);
  #propertyFlags = 0x5d;
  #hasFar = false;
  /** The credible presentation times: a start in ms modulo 2^32, and a length. */
  #window: { readonly from: number; readonly length: number } | undefined;

  constructor(header: AsfHeader) {
    this.packetSize = header.packetSize;
    this.#preroll = header.preroll;
    for (const { number, type } of header.streams) {
      this.#streams[number & 0x7f] = type === 'audio' || type === 'video' ? 2 : 1;
    }
  }

  /** True if a packet of the usual form seems to begin here; needs {@link SCAN_HEAD_SIZE} bytes. */
  looksRight(bytes: Buffer, at: number): boolean {
    const { length } = this.#correction;
    if (bytes.length < at + length + 2) return false;
    for (let i = 0; i < length; i++) if (bytes[at + i] !== this.#correction[i]) return false;
    return bytes[at + length]! < 0x80 && bytes[at + length + 1] === this.#propertyFlags;
  }

  /** The same as {@link looksRight} at the start of bytes that may be incomplete. */
  mayBegin(bytes: Buffer): boolean {
    const length = Math.min(this.#correction.length, bytes.length);
    return bytes.length >= this.#correction.length + 2
      ? this.looksRight(bytes, 0)
      : this.#correction.compare(bytes, 0, length, 0, length) === 0;
  }

  /** Returns the packet that begins here, credible or not; undefined if the bytes are not a packet or too few. */
  read(bytes: Buffer, at: number): DataPacket | undefined {
    if (at + this.packetSize > bytes.length) return undefined;
    return tryParsePacket(bytes.subarray(at, at + this.packetSize));
  }

  judge(packet: DataPacket): Verdict {
    if (packet.parity) return packet.bytes[0] === (this.#correction[0] ?? 0) + 0x10 ? 'good' : 'foreign';
    let declared = 0;
    let far = 0;
    for (const payload of packet.payloads) {
      if (this.#streams[payload.stream] === 0) continue;
      declared++;
      if (!this.isNear(packet, payload)) far++;
    }
    if (declared === 0) return packet.payloads.length === 0 ? 'good' : 'foreign';
    this.#hasFar = far > 0;
    return far === declared ? 'far' : 'good';
  }

  /** True if some payloads of the last packet that was judged have times far from the credible ones. */
  get hasFar(): boolean {
    return this.#hasFar;
  }

  /** True if the time of a payload is close to the credible ones. */
  isNear(packet: DataPacket, payload: Payload): boolean {
    if (this.#window === undefined || this.#streams[payload.stream] !== 2) return true;
    const time = timeOf(packet, payload, this.#preroll);
    const after = distance(time, this.#window.from);
    return after >= -FAR && after <= this.#window.length + FAR;
  }

  /** True if the times of two packets are close. */
  agree(a: DataPacket, b: DataPacket): boolean {
    const times = [this.timeOf(a), this.timeOf(b)];
    return times[0] !== undefined && times[1] !== undefined && Math.abs(distance(times[0], times[1])) <= FAR;
  }

  /** Presentation time of the first audio or video payload, ms modulo 2^32; undefined without such a payload. */
  timeOf(packet: DataPacket): number | undefined {
    const payload = packet.payloads.find(({ stream }) => this.#streams[stream] === 2);
    return payload === undefined ? undefined : timeOf(packet, payload, this.#preroll);
  }

  /** Accepts the packet as one of the stream: the next one is close to it and has the same form. */
  follow(packet: DataPacket): void {
    this.takeForm(packet);
    const time = this.timeOf(packet);
    if (time !== undefined) this.#window = { from: time, length: 0 };
  }

  /** Sets the form in which packets are expected. */
  takeForm({ bytes, errorCorrectionLength, propertyFlags, parity }: DataPacket): void {
    if (parity) return;
    this.#propertyFlags = propertyFlags;
    if (
      errorCorrectionLength === this.#correction.length &&
      this.#correction.compare(bytes, 0, errorCorrectionLength) === 0
    ) {
      return;
    }
    this.#correction = Buffer.from(bytes.subarray(0, errorCorrectionLength));
  }

  /** Makes a span of times credible. @param from ms modulo 2^32 @param length ms */
  believe(from: number, length: number): void {
    this.#window = { from, length };
  }

  /**
   * Returns the first place from `from` to `to` where a good packet of the usual form begins that is whole as far as
   * can be seen; -1 if not found.
   */
  find(bytes: Buffer, from: number, to: number): number {
    const last = Math.min(to, bytes.length - this.packetSize);
    const isCorrected = this.#correction.length > 0;
    const known = isCorrected ? this.#correction[0]! : this.#propertyFlags;
    const knownAt = isCorrected ? 0 : 1;
    let tries = 0;
    for (let at = from; at <= last && tries < MAX_TRIES; at++) {
      at = bytes.indexOf(known, at + knownAt) - knownAt;
      if (at < from || at > last) return -1;
      if (!this.looksRight(bytes, at)) continue;
      tries++;
      const packet = this.read(bytes, at);
      if (packet === undefined || packet.parity || packet.payloads.length === 0 || packet.damaged) continue;
      const end = at + this.packetSize;
      const isFollowed = bytes.length < end + SCAN_HEAD_SIZE || this.looksRight(bytes, end) || isObjectAt(bytes, end);
      // Bytes may have been added after this packet too. If another one begins inside it, this is the rest of one that
      // was cut.
      if (!isFollowed && this.#beginsWithin(bytes, at + 1, end)) continue;
      const verdict = this.judge(packet);
      if (verdict === 'good' || (verdict === 'far' && this.#isFollowed(bytes, at, packet))) return at;
    }
    return -1;
  }

  /** True if something in the form of a packet begins at or after `from` and before `to`. */
  #beginsWithin(bytes: Buffer, from: number, to: number): boolean {
    const isCorrected = this.#correction.length > 0;
    const known = isCorrected ? this.#correction : this.#propertyFlags;
    const knownAt = isCorrected ? 0 : 1;
    for (let at = from; ; at++) {
      at = bytes.indexOf(known, at + knownAt) - knownAt;
      if (at < from || at >= to) return false;
      if (this.looksRight(bytes, at)) return true;
    }
  }

  #isFollowed(bytes: Buffer, at: number, packet: DataPacket): boolean {
    const next = this.read(bytes, at + this.packetSize);
    return next !== undefined && this.judge(next) !== 'foreign' && this.agree(packet, next);
  }
}

function timeOf(packet: DataPacket, { presentationTime }: Payload, preroll: number): number {
  return presentationTime === -1 ? packet.sendTime + preroll : presentationTime;
}
