import { FRAME_HEADER_SIZE, PACKET_ID } from '../framing/framing.js';
import { type Fault, type FaultPlan, faultsAt, strikes } from './fault-plan.js';
import { type PacketAccess, PacketFaults } from './packet-faults.js';
import { Random } from './random.js';

/** Bytes of the MMS data packet header in a $D frame: LocationId (4), playIncarnation, AFFlags, PacketSize (2). */
const DATA_HEAD = 8;
const AF_FLAGS = 5;
const DATA_PACKET_SIZE = 6;

/** A frame as it goes out: the four bytes of its head and what follows. */
interface OutFrame {
  readonly head: Buffer;
  readonly payload: Buffer;
}

/** @param head bytes before the packet: none in a push, where frames have no MMS data packet header */
const accessTo = (head: number): PacketAccess<OutFrame> => ({
  bytes: ({ payload }) => payload.subarray(head),
  withBytes: ({ head: frameHead, payload }, bytes) => ({
    head: frameHead,
    payload: Buffer.concat([payload.subarray(0, head), bytes]),
  }),
});

/** Does faults to the frames of one connection: those of the wire, and those of packets to what is in $D frames. */
export class FrameFaults {
  readonly #received: PacketFaults<OutFrame>;
  readonly #pushed: PacketFaults<OutFrame>;
  readonly #faults: ReadonlyArray<{ readonly fault: Fault; readonly random: Random }>;
  readonly #holds: boolean;
  #data = 0;

  /** @param connection counted from 1 */
  constructor(plan: FaultPlan, connection: number) {
    this.#received = new PacketFaults(plan, connection, accessTo(DATA_HEAD));
    this.#pushed = new PacketFaults(plan, connection, accessTo(0));
    this.#holds = plan.faults.some(({ name }) => name === 'delay' || name === 'reorder');
    this.#faults = faultsAt(plan, 'wire').map((fault, index) => ({
      fault,
      random: new Random(plan.seed, connection, 0x100 + index),
    }));
  }

  /** The number of $D frames that came in. */
  get data(): number {
    return this.#data;
  }

  /**
   * Returns the frames that go out when one comes.
   *
   * @param frame head and payload; it is not changed
   * @param isPush true for a frame of WMHTTP, whose packets follow the head at once (MS-WMHTTP 2.2.3)
   */
  take(frame: Buffer, isPush = false): Buffer[] {
    const packets = isPush ? this.#pushed : this.#received;
    const written = (each: OutFrame) => this.#data$(each, isPush);
    const id = frame[1];
    // A frame that goes out later outlives the buffer of the sender, which is used again.
    const kept = this.#holds ? Buffer.from(frame) : frame;
    const out = { head: kept.subarray(0, FRAME_HEADER_SIZE), payload: kept.subarray(FRAME_HEADER_SIZE) };
    if (id === PACKET_ID.data) {
      const inserted = this.#insertions();
      this.#data++;
      return [...packets.take(out).map(written), ...inserted];
    }
    const held = packets.end().map(written);
    if (id === PACKET_ID.endOfStream && this.#has('no-end')) return held;
    const cut = id === PACKET_ID.header ? this.#has('cut-header')?.amount : undefined;
    if (cut === undefined) return [...held, frame];
    const payload = out.payload.subarray(0, Math.max(0, out.payload.length - cut));
    const head = Buffer.from(out.head);
    head.writeUInt16LE(payload.length, 2);
    return [...held, Buffer.concat([head, payload])];
  }

  #has(name: Fault['name']): Fault | undefined {
    return this.#faults.find(({ fault }) => fault.name === name)?.fault;
  }

  #insertions(): Buffer[] {
    const every = this.#has('change')?.amount;
    // $C with Reason 0 (MS-WMSP 2.2.3.1.2).
    return every !== undefined && (this.#data + 1) % every === 0
      ? [Buffer.from([0x24, PACKET_ID.streamChange, 4, 0, 0, 0, 0, 0])]
      : [];
  }

  #data$({ head, payload }: OutFrame, isPush: boolean): Buffer {
    const bytes = Buffer.concat([head, payload]);
    const hasHead = !isPush && payload.length >= DATA_HEAD;
    bytes.writeUInt16LE(payload.length, 2);
    if (hasHead) bytes.writeUInt16LE(payload.length, FRAME_HEADER_SIZE + DATA_PACKET_SIZE);
    for (const { fault, random } of this.#faults) {
      if (fault.name === 'change' || fault.name === 'no-end' || fault.name === 'cut-header') continue;
      if (!strikes(fault, this.#data - 1, random)) continue;
      if (fault.name !== 'lengths' && !hasHead) continue;
      if (fault.name === 'flags') {
        const at = FRAME_HEADER_SIZE + AF_FLAGS;
        bytes[at] = bytes[at]! ^ (1 + random.below(255));
      } else if (fault.name === 'locations') {
        bytes.writeUInt32LE(
          (bytes.readUInt32LE(FRAME_HEADER_SIZE) + 1 + random.below(0xffff)) >>> 0,
          FRAME_HEADER_SIZE,
        );
      } else {
        const lie = (1 + random.below(64)) * (random.happens(0.5) ? 1 : -1);
        bytes.writeUInt16LE(Math.min(0xffff, Math.max(0, payload.length + lie)), 2);
      }
    }
    return bytes;
  }
}
