import type { Socket } from 'node:net';
import type { DatagramSender } from '../media/datagrams.js';
import type { FaultPlan } from './fault-plan.js';
import { FaultyDatagrams } from './faulty-datagrams.js';
import { FaultyConnections, RequestFaults } from './faulty-socket.js';
import type { FaultyProtocol } from './frame-codec.js';

/** Where a server commits the faults of a plan. */
export interface Injected {
  /** Takes each connection of HTTP. */
  http(socket: Socket): void;
  /** Takes each connection of another protocol. */
  other(socket: Socket, protocol: FaultyProtocol): void;
  /** Takes what sends the datagrams of each player. */
  datagrams(sender: DatagramSender, protocol: FaultyProtocol): DatagramSender;
  /** Returns the status with which to refuse the next request; undefined for none. */
  refusal(): number | undefined;
}

/** Returns the hooks of a plan; undefined without one. */
export function injected(plan: FaultPlan | undefined): Injected | undefined {
  if (!plan) return undefined;
  const requests = new RequestFaults(plan);
  const connections = new FaultyConnections(plan);
  const datagrams = new FaultyDatagrams(plan);
  return {
    http: (socket) => connections.take(socket, 'http'),
    other: (socket, protocol) => connections.take(socket, protocol),
    datagrams: (sender, protocol) => datagrams.take(sender, protocol),
    refusal: () => requests.next(),
  };
}
