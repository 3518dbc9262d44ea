import type { LengthType } from '../asf/packet.js';
import { buildPacket, type PayloadFields } from '../asf/packet-build.js';

/** How the container writes packets. @public */
export interface PacketLayout {
  /**
   * `multiple` (default): several payloads in a packet. `single`: one in each. `compressed`: several small objects of a
   * stream in one payload (asf.md 7.4).
   */
  readonly payloads?: 'multiple' | 'single' | 'compressed' | undefined;
  /** False to leave out the error correction field; default true. */
  readonly errorCorrection?: boolean | undefined;
  /** Bytes of the fields: 0 if absent, else 1, 2 or 4. Defaults: the sizes that Microsoft's encoders use. */
  readonly sequence?: 0 | 1 | 2 | 4 | undefined;
  readonly packetLength?: 0 | 1 | 2 | 4 | undefined;
  readonly padding?: 1 | 2 | 4 | undefined;
  readonly objectNumber?: 1 | 2 | 4 | undefined;
  readonly offset?: 2 | 4 | undefined;
  readonly replicatedLength?: 1 | 2 | 4 | undefined;
  readonly payloadLength?: 1 | 2 | 4 | undefined;
  /** Bytes of payload extensions after the 8 bytes of replicated data; default 0. */
  readonly extension?: number | undefined;
  /** False for packets that end after their last payload; default true. */
  readonly padded?: boolean | undefined;
}

/** A media object to be put into packets. */
export interface PacketObject {
  readonly stream: number;
  readonly key: boolean;
  readonly number: number;
  /** In ms, preroll not included. */
  readonly time: number;
  readonly data: Buffer;
}

/** The media of a packet, in ms, so that a live stream does not wait for more. */
const LONGEST_PACKET = 200;
/** A smaller rest of an object goes into the next packet. */
const SMALLEST_PART = 16;
/** The most payloads that a packet's count can hold. */
const MAX_PAYLOADS = 63;
/** The one byte before each sub-object of a compressed payload holds its size. */
const LARGEST_SUB_OBJECT = 255;

const code = (size: number): LengthType => (size === 4 ? 3 : (size as LengthType));

/** Puts media objects into data packets of a fixed size, in any layout. Each object is split where a packet is full. */
export class Packetizer {
  readonly #layout: { readonly [K in keyof PacketLayout]-?: NonNullable<PacketLayout[K]> };
  readonly #packetSize: number;
  readonly #preroll: number;
  #payloads: PayloadFields[] = [];
  #used = 0;
  #from = 0;
  #to = 0;
  #sequence = 0;
  readonly #ready: Buffer[] = [];
  // The objects of a compressed payload.
  #group: PacketObject[] = [];

  /** @param packetSize in bytes @param preroll in ms */
  constructor(packetSize: number, preroll: number, layout: PacketLayout = {}) {
    this.#packetSize = packetSize;
    this.#preroll = preroll;
    this.#layout = {
      payloads: 'multiple',
      errorCorrection: true,
      sequence: 0,
      packetLength: 0,
      padding: 2,
      objectNumber: 1,
      offset: 4,
      replicatedLength: 1,
      payloadLength: 2,
      extension: 0,
      padded: true,
      ...Object.fromEntries(Object.entries(layout).filter(([, value]) => value !== undefined)),
    };
  }

  /** Takes an object, in the order of times, and returns the packets that are full. */
  add(object: PacketObject): Buffer[] {
    if (this.#payloads.length > 0 && object.time - this.#from > LONGEST_PACKET) this.#finish();
    const { payloads } = this.#layout;
    const isSmall = object.data.length <= LARGEST_SUB_OBJECT;
    if (payloads === 'compressed' && isSmall) this.#compress(object);
    else {
      this.#endGroup();
      this.#split(object);
    }
    return this.#ready.splice(0);
  }

  /** Returns what is left. */
  end(): Buffer[] {
    this.#endGroup();
    this.#finish();
    return this.#ready.splice(0);
  }

  #compress(object: PacketObject): void {
    const [first] = this.#group;
    if (first && (first.stream !== object.stream || first.key !== object.key)) this.#endGroup();
    this.#group.push(object);
    const size = this.#group.reduce((sum, { data }) => sum + 1 + data.length, 0);
    // One more object has to fit, or the payload goes out.
    if (this.#group.length >= 8 || size + 1 + LARGEST_SUB_OBJECT > this.#room(1)) this.#endGroup();
  }

  #endGroup(): void {
    const group = this.#group;
    this.#group = [];
    const [first, second] = group;
    if (!first) return;
    const delta = Math.min(255, Math.max(1, second ? second.time - first.time : 1));
    const data = Buffer.concat(group.flatMap((each) => [Buffer.from([each.data.length]), each.data]));
    if (data.length > this.#room(1)) this.#finish();
    this.#put(first, { offset: first.time + this.#preroll, replicated: Buffer.from([delta]), data });
    this.#to = Math.max(this.#to, group.at(-1)!.time);
  }

  #split(object: PacketObject): void {
    const { extension } = this.#layout;
    const replicated = Buffer.alloc(8 + extension, 0x45);
    replicated.writeUInt32LE(object.data.length, 0);
    replicated.writeUInt32LE((object.time + this.#preroll) >>> 0, 4);
    for (let offset = 0; offset < object.data.length; ) {
      const left = object.data.length - offset;
      if (this.#room(replicated.length) < Math.min(left, SMALLEST_PART)) this.#finish();
      const size = Math.min(left, this.#room(replicated.length), this.#layout.payloadLength === 1 ? 255 : left);
      this.#put(object, { offset, replicated, data: object.data.subarray(offset, offset + size) });
      offset += size;
    }
  }

  #put(object: PacketObject, rest: Pick<PayloadFields, 'offset' | 'replicated' | 'data'>): void {
    if (this.#payloads.length === 0) this.#from = object.time;
    this.#to = object.time;
    const { stream, key, number } = object;
    const modulus = 2 ** (8 * this.#layout.objectNumber);
    this.#payloads.push({ stream, key, mediaObjectNumber: number % modulus, ...rest });
    this.#used += this.#payloadHead(rest.replicated.length) + rest.data.length;
    if (this.#layout.payloads === 'single' || this.#payloads.length === MAX_PAYLOADS) this.#finish();
  }

  /** Returns the bytes of data that fit, in a payload with this much replicated data. */
  #room(replicated: number): number {
    return this.#packetSize - this.#head - this.#used - this.#payloadHead(replicated);
  }

  get #head(): number {
    const { errorCorrection, sequence, packetLength, padding, payloads } = this.#layout;
    return (errorCorrection ? 3 : 0) + 8 + sequence + packetLength + padding + (payloads === 'single' ? 0 : 1);
  }

  #payloadHead(replicated: number): number {
    const { objectNumber, offset, replicatedLength, payloadLength, payloads } = this.#layout;
    return 1 + objectNumber + offset + replicatedLength + replicated + (payloads === 'single' ? 0 : payloadLength);
  }

  #finish(): void {
    if (this.#payloads.length === 0) return;
    const layout = this.#layout;
    const payloads = this.#payloads;
    const gap = this.#packetSize - this.#head - this.#used;
    // A field of one byte cannot say more.
    const padding = gap > 255 && layout.padding === 1 ? 2 : layout.padding;
    const filler = layout.padded ? Math.max(0, gap - (padding - layout.padding)) : 0;
    this.#ready.push(
      buildPacket({
        ...(layout.errorCorrection ? {} : { errorCorrection: Buffer.alloc(0) }),
        multiple: layout.payloads !== 'single',
        sequenceType: code(layout.sequence),
        sequence: layout.sequence === 0 ? 0 : this.#sequence++ % 2 ** (8 * layout.sequence),
        packetLengthType: code(layout.packetLength),
        paddingType: code(padding),
        padding: Buffer.alloc(filler),
        propertyFlags:
          code(layout.replicatedLength) | (code(layout.offset) << 2) | (code(layout.objectNumber) << 4) | 0x40,
        payloadLengthType: code(layout.payloadLength),
        sendTime: this.#from >>> 0,
        duration: Math.min(0xffff, Math.max(0, this.#to - this.#from)),
        payloads,
      }),
    );
    this.#payloads = [];
    this.#used = 0;
  }
}
