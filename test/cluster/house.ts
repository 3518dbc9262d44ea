import { type DataPacket, parsePacket } from '../../src/asf/packet.js';
import { buildPacket } from '../../src/asf/packet-build.js';
import { ClusterNode } from '../../src/cluster/node.js';
import type { Claimant } from '../../src/cluster/ownership.js';
import { Broadcast } from '../../src/media/broadcast.js';
import type { AsfEvent } from '../../src/media/events.js';
import { PACKET_SIZE, VIDEO } from '../support/stream.js';
import type { FakeBus, FakeHub } from './fake-bus.js';

/** A node and the broadcasts of its points, without a server. */
export class House {
  readonly broadcasts = new Map<string, Broadcast>();
  readonly warnings: string[] = [];
  /** Paths that another node has taken over. */
  readonly lost: string[] = [];
  /** Paths that were given away because the node was cut off. */
  readonly given: string[] = [];
  /** Whether what feeds a point yields to a claimant of another node. */
  yields: (path: string, claimant: Claimant) => boolean = () => false;
  readonly bus: FakeBus;
  node!: ClusterNode;

  private constructor(bus: FakeBus) {
    this.bus = bus;
  }

  /** @param beat the time between two beats in ms */
  static async join(hub: FakeHub, name: string, beat = 20): Promise<House> {
    const house = new House(hub.bus());
    house.node = await ClusterNode.join({
      bus: house.bus,
      name,
      prefix: 'test',
      onWarning: (message) => house.warnings.push(message),
      timers: { beat, want: 20, suspicion: 5 * beat, look: beat },
    });
    house.node.attend({
      find: (path) => {
        const broadcast = house.broadcasts.get(path);
        return broadcast && { broadcast, demand: async () => {} };
      },
      yields: (path, claimant) => house.yields(path, claimant),
      lost: (path) => {
        house.lost.push(path);
        house.following(path).takeOver();
      },
      isolated: (isolated) => {
        for (const path of isolated ? house.node.ownership.paths : []) {
          house.node.release(path);
          house.given.push(path);
        }
      },
      pointChanged: () => {},
    });
    return house;
  }

  broadcast(path: string): Broadcast {
    const present = this.broadcasts.get(path) ?? new Broadcast();
    this.broadcasts.set(path, present);
    return present;
  }

  following(path: string) {
    return this.node.following(path, this.broadcast(path));
  }

  /** Feeds a point here, as a push would. */
  async publish(path: string, remoteAddress = '192.0.2.1'): Promise<Broadcast> {
    const broadcast = this.broadcast(path);
    await this.node.claim(path, broadcast, { remoteAddress });
    return broadcast;
  }
}

/** What a player or an archive sees of a broadcast: every event, in order. */
export function eventsOf(broadcast: Broadcast): AsfEvent[] {
  const events: AsfEvent[] = [];
  broadcast.follow({
    started: (header) => void events.push({ type: 'header', header }),
    packet: (_, placed) => {
      events.push({ type: 'packet', packet: placed });
      return 0;
    },
    ended: (end) => void events.push(end),
  });
  return events;
}

/** A packet that says which one it is, in its media object. Every tenth begins with a key frame. */
export function numbered(number: number, sendTime = number * 10): DataPacket {
  const data = Buffer.alloc(100, 7);
  data.writeUInt32LE(number, 0);
  const replicated = Buffer.alloc(8);
  replicated.writeUInt32LE(data.length, 0);
  replicated.writeUInt32LE(sendTime + 1000, 4);
  const key = number % 10 === 0;
  const payloads = [{ stream: VIDEO, key, mediaObjectNumber: number & 255, offset: 0, replicated, data }];
  return parsePacket(buildPacket({ sendTime, duration: 0, packetSize: PACKET_SIZE, payloads }));
}

/** The numbers of the packets among events. */
export function numbersIn(events: readonly AsfEvent[]): number[] {
  return events.flatMap((event) =>
    event.type === 'packet' ? [event.packet.bytes.readUInt32LE(event.packet.payloads[0]!.dataStart)] : [],
  );
}

/** Writes packets from a number on. */
export function feed(broadcast: Broadcast, from: number, count: number): void {
  for (let number = from; number < from + count; number++)
    broadcast.write({ type: 'packet', packet: numbered(number) });
}

/** The whole numbers from one to another. */
export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
