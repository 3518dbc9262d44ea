import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { FeedClient } from '../../src/cluster/feed-client.js';
import { FeedServer } from '../../src/cluster/feed-server.js';
import { Broadcast } from '../../src/media/broadcast.js';
import type { AsfEvent } from '../../src/media/events.js';
import type { Refusal } from '../../src/refusal.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

describe('a point of another process', () => {
  const broadcast = new Broadcast();
  let demands: string[] = [];
  let sockets: Socket[] = [];
  const feeds = new FeedServer((path) =>
    path === '/live'
      ? {
          broadcast,
          demand: async (pulls) => {
            demands.push(pulls);
          },
        }
      : undefined,
  );
  const server = createServer((socket) => feeds.serve(socket));
  let client: FeedClient;

  beforeEach(async () => {
    demands = [];
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as { port: number };
    const socket = connect(port, '127.0.0.1');
    sockets = [socket];
    client = new FeedClient(socket);
  });

  afterEach(async () => {
    for (const socket of sockets) socket.destroy();
    await broadcast.close();
    server.close();
    await once(server, 'close');
  });

  const follow = (path: string) => {
    const events: AsfEvent[] = [];
    const errors: Error[] = [];
    const stop = client.follow(
      { path, pulls: 'a.1' },
      { event: (event) => events.push(event), failed: (error) => errors.push(error) },
    );
    return { events, errors, stop };
  };

  it('comes with what is kept of it, then as it arrives, to its end', async () => {
    const header = testHeader();
    const packets = [0, 100, 200, 300, 400, 500].map((time) => testPacket(time, { key: true }));
    broadcast.write({ type: 'header', header });
    for (const packet of packets.slice(0, 3)) broadcast.write({ type: 'packet', packet });
    const { events } = follow('/live');
    await until('what is kept', () => events.length === 4);
    for (const packet of packets.slice(3)) broadcast.write({ type: 'packet', packet });
    await broadcast.close();
    await until('the end', () => events.at(-1)?.type === 'end');
    expect(events.map(({ type }) => type)).toEqual(['header', ...packets.map(() => 'packet'), 'end']);
    expect(demands).toEqual(['a.1']);
    const times = events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(times).toEqual(packets.map(({ sendTime }) => sendTime));
  });

  it('keeps its source running as long as it is followed', async () => {
    const header = testHeader();
    broadcast.write({ type: 'header', header });
    const { events, stop } = follow('/live');
    await until('the header', () => events.length === 1);
    expect(broadcast.wanted).toBe(true);
    stop();
    await until('nobody', () => !broadcast.wanted);
  });

  it('is refused as the other process refuses it', async () => {
    const { errors } = follow('/nothing');
    const offline = follow('/live');
    await until('both refusals', () => errors.length + offline.errors.length === 2);
    expect([errors[0], offline.errors[0]].map((error) => (error as Refusal).kind)).toEqual(['not-found', 'offline']);
  });

  it('fails when the other process ends', async () => {
    const header = testHeader();
    broadcast.write({ type: 'header', header });
    const { events, errors } = follow('/live');
    await until('the header', () => events.length === 1);
    for (const socket of sockets) socket.destroy();
    await until('the failure', () => errors.length === 1);
  });
});
