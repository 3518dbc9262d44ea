import type { DatagramSender, SendDone } from '../media/datagrams.js';
import { type FaultName, type FaultPlan, faultsAt } from './fault-plan.js';
import type { FaultyProtocol } from './frame-codec.js';
import { FrameFaults } from './frame-faults.js';
import { type PacketAccess, PacketFaults } from './packet-faults.js';

/** The faults of packets that datagrams have as well: the others are about what is in a packet. */
const OF_DATAGRAMS: readonly FaultName[] = ['lose', 'duplicate', 'reorder', 'corrupt'];
/** The faults of the wire that are about a single data frame. */
const OF_FRAMES: readonly FaultName[] = ['lengths', 'flags', 'locations', 'cut-header'];

interface Datagram {
  readonly bytes: Buffer;
  readonly port: number;
  readonly address: string;
}

const ACCESS: PacketAccess<Datagram> = {
  bytes: ({ bytes }) => bytes,
  withBytes: (datagram, bytes) => ({ ...datagram, bytes }),
};
const IGNORED: SendDone = () => {};

/**
 * Does the faults of a plan to the datagrams of players, each with its own sequence of choices. What is sent again
 * counts as well, so a player may lose it again.
 */
export class FaultyDatagrams {
  readonly #plan: FaultPlan;
  readonly #wire: FaultPlan;
  #players = 0;

  constructor(plan: FaultPlan) {
    this.#plan = { ...plan, faults: faultsAt(plan, 'packets').filter(({ name }) => OF_DATAGRAMS.includes(name)) };
    this.#wire = { ...plan, faults: faultsAt(plan, 'wire').filter(({ name }) => OF_FRAMES.includes(name)) };
  }

  /** Returns the sender of another player; the same one if it is not to be faulty. */
  take(sender: DatagramSender, protocol: FaultyProtocol): DatagramSender {
    const player = ++this.#players;
    const { connection = player, faults } = this.#plan;
    const codec = protocol.datagrams?.();
    const isFaulty = faults.length > 0 || (codec !== undefined && this.#wire.faults.length > 0);
    if (connection !== player || !isFaulty) return sender;
    const frames = new FrameFaults(this.#wire, 0x400 + player);
    // Apart from the connections, which have numbers too.
    const packets = new PacketFaults(this.#plan, 0x400 + player, ACCESS);
    return {
      send: (buffer, offset, length, port, address, done) => {
        // The buffer may be other players' as well, and is used again once this is done.
        const bytes = Buffer.from(buffer.subarray(offset, offset + length));
        const written = codec ? frames.take(bytes, codec) : [bytes];
        const due = written.flatMap((each) => packets.take({ bytes: each, port, address }));
        if (due.length === 0) queueMicrotask(() => done(null, length));
        for (const [index, each] of due.entries()) {
          const isLast = index === due.length - 1;
          sender.send(each.bytes, 0, each.bytes.length, each.port, each.address, isLast ? done : IGNORED);
        }
      },
    };
  }
}
