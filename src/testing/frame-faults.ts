import { type Fault, type FaultPlan, faultsAt, strikes } from './fault-plan.js';
import type { FrameCodec } from './frame-codec.js';
import { PacketFaults } from './packet-faults.js';
import { Random } from './random.js';

/** Does faults to the frames of one connection: those of the wire, and those of packets to what is in data frames. */
export class FrameFaults {
  readonly #plan: FaultPlan;
  readonly #connection: number;
  readonly #packets = new Map<FrameCodec, PacketFaults<Buffer>>();
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; readonly random: Random }>;
  readonly #holds: boolean;
  #data = 0;

  /** @param connection counted from 1 */
  constructor(plan: FaultPlan, connection: number) {
    this.#plan = plan;
    this.#connection = connection;
    this.#holds = plan.faults.some(({ name }) => name === 'delay' || name === 'reorder');
    this.#faults = faultsAt(plan, 'wire').map((fault, index) => ({
      fault,
      random: new Random(plan.seed, connection, 0x100 + index),
    }));
  }

  /** The number of data frames that came in. */
  get data(): number {
    return this.#data;
  }

  /**
   * Returns the frames that go out when one comes.
   *
   * @param frame a whole one; it is not changed
   */
  take(frame: Buffer, codec: FrameCodec): Buffer[] {
    const out = this.#taken(frame, codec);
    return codec.numbered ? out.map((each) => codec.numbered!(each)) : out;
  }

  #taken(frame: Buffer, codec: FrameCodec): Buffer[] {
    const packets = this.#packetsOf(codec);
    const struck = (each: Buffer) => this.#struck(each, codec);
    const kind = codec.kind(frame);
    if (kind === 'other') return [frame];
    if (kind === 'data') {
      const every = this.#has('change')?.amount;
      const inserted = every !== undefined && (this.#data + 1) % every === 0 ? [codec.change()] : [];
      this.#data++;
      // A frame that goes out later outlives the buffer of the sender, which is used again.
      return [...packets.take(this.#holds ? Buffer.from(frame) : frame).map(struck), ...inserted];
    }
    const held = packets.end().map(struck);
    if (kind === 'end' && this.#has('no-end')) return held;
    const cut = kind === 'header' ? this.#has('cut-header')?.amount : undefined;
    return [...held, cut === undefined ? frame : codec.withoutTail(frame, cut)];
  }

  #packetsOf(codec: FrameCodec): PacketFaults<Buffer> {
    const known = this.#packets.get(codec);
    if (known) return known;
    const packets = new PacketFaults<Buffer>(this.#plan, this.#connection, {
      bytes: (frame) => codec.packet(frame),
      withBytes: (frame, bytes) => codec.withPacket(frame, bytes),
    });
    this.#packets.set(codec, packets);
    return packets;
  }

  #has(name: Fault['name']): Fault | undefined {
    return this.#faults.find(({ fault }) => fault.name === name)?.fault;
  }

  #struck(frame: Buffer, codec: FrameCodec): Buffer {
    let bytes = frame;
    for (const { fault, random } of this.#faults) {
      if (fault.name === 'change' || fault.name === 'no-end' || fault.name === 'cut-header') continue;
      if (!strikes(fault, this.#data - 1, random)) continue;
      if (fault.name === 'flags') bytes = codec.withFlags(bytes, 1 + random.below(255)) ?? bytes;
      else if (fault.name === 'locations') bytes = codec.withLocation(bytes, 1 + random.below(0xffff)) ?? bytes;
      else {
        const size = 1 + random.below(64);
        bytes = codec.withLength(bytes, random.happens(0.5) ? size : -size);
      }
    }
    return bytes;
  }
}
