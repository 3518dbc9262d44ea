import type { DatagramSender, SendDone } from '../media/datagrams.js';
import { type FaultName, type FaultPlan, faultsAt } from './fault-plan.js';
import { type PacketAccess, PacketFaults } from './packet-faults.js';

/** The faults of packets that datagrams have as well: the others are about what is in a packet. */
const OF_DATAGRAMS: readonly FaultName[] = ['lose', 'duplicate', 'reorder', 'corrupt'];

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
  #players = 0;

  constructor(plan: FaultPlan) {
    this.#plan = { ...plan, faults: faultsAt(plan, 'packets').filter(({ name }) => OF_DATAGRAMS.includes(name)) };
  }

  /** Returns the sender of another player; the same one if it is not to be faulty. */
  take(sender: DatagramSender): DatagramSender {
    const player = ++this.#players;
    const { connection = player, faults } = this.#plan;
    if (connection !== player || faults.length === 0) return sender;
    // Apart from the connections, which have numbers too.
    const packets = new PacketFaults(this.#plan, 0x400 + player, ACCESS);
    return {
      send: (buffer, offset, length, port, address, done) => {
        // The buffer may be other players' as well, and is used again once this is done.
        const bytes = Buffer.from(buffer.subarray(offset, offset + length));
        const due = packets.take({ bytes, port, address });
        if (due.length === 0) queueMicrotask(() => done(null, length));
        for (const [index, each] of due.entries()) {
          const isLast = index === due.length - 1;
          sender.send(each.bytes, 0, each.bytes.length, each.port, each.address, isLast ? done : IGNORED);
        }
      },
    };
  }
}
