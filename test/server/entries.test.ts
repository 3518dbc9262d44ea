import { createSocket } from 'node:dgram';
import { parseNsc } from '../../src/announce/nsc.js';
import { parseConfig } from '../../src/server/config-file.js';
import { connectRequest, shape, untilShape, wireMessages } from '../msbd/support.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse, RawPeer, wirePackets } from '../support/wire.js';
import { BOTH_STREAMS, NEW, PLAY } from '../wmsp/station.js';
import { ServerStation, type TestEncoder } from './station.js';

const open: Array<{ close(): Promise<void> | void }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

/** A point that is pushed to, and a receiver for each protocol that it is sent by. */
class Ways {
  readonly server: ServerStation;
  readonly encoder: TestEncoder;
  readonly player: RawPeer;
  readonly puller: RawPeer;
  readonly #datagrams: Buffer[];

  private constructor(server: ServerStation, encoder: TestEncoder, ends: [RawPeer, RawPeer], datagrams: Buffer[]) {
    this.server = server;
    this.encoder = encoder;
    [this.player, this.puller] = ends;
    this.#datagrams = datagrams;
  }

  static async open(): Promise<Ways> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    open.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
    await new Promise<void>((resolve) => socket.bind(0, resolve));
    const group = `239.255.78.${1 + Math.floor(Math.random() * 250)}`;
    socket.addMembership(group, '127.0.0.1');
    const datagrams: Buffer[] = [];
    // A beacon has 4 bytes.
    socket.on('message', (bytes) => bytes.length > 4 && datagrams.push(bytes));
    const multicast = `multicast: { group: ${group}, port: ${socket.address().port}, interface: 127.0.0.1, fec: 0 }`;
    const { points } = parseConfig(`points: [{ path: /live, ${multicast} }]`, 'serve.yaml');
    const server = await ServerStation.open({ points, msbd: { port: 0 } });
    open.push(server);
    const encoder = await server.push('/live');
    encoder.key();
    await until('/live to be live', () => server.server.points.get('/live')!.broadcast.live);
    const player = await server.peer();
    player.request('GET /live HTTP/1.1', NEW, 'Host: x', ...PLAY, ...BOTH_STREAMS);
    const puller = await RawPeer.connect(server.server.ports.msbd!);
    open.push(puller);
    puller.send(connectRequest(1, 'live'));
    return new Ways(server, encoder, [player, puller], datagrams);
  }

  /** The packets that a player from 9.0 sees, until the condition is true: M, H, D, C, E. */
  seen(wanted: RegExp): Promise<string> {
    return this.player.until((bytes) => {
      const response = parseResponse(bytes);
      const kinds = response
        ? wirePackets(response.body)
            .map(({ id }) => id)
            .join('')
        : '';
      return wanted.test(kinds) ? kinds : undefined;
    });
  }

  pulled(wanted: RegExp) {
    return untilShape(this.puller, wanted);
  }

  /** The successive wStreamIDs of the multicast. */
  async multicast(packets: number): Promise<number[]> {
    await until(`${packets} datagrams`, () => this.#datagrams.length >= packets);
    const ids = this.#datagrams.map((bytes) => bytes.readUInt16LE(4));
    return ids.filter((id, index) => id !== ids[index - 1]);
  }
}

describe('an entry that ends with more to come, followed by an equal header,', () => {
  it('[WMSP-206] [WMSP-282] is another entry for players from 9.0', async () => {
    const ways = await Ways.open();
    await ways.seen(/HD$/);
    ways.encoder.key();
    await ways.seen(/HDD$/);
    ways.encoder.end(1);
    ways.encoder.send('C', Buffer.concat([Buffer.alloc(4), testHeader().bytes]));
    ways.encoder.send('H', testHeader().bytes);
    ways.encoder.key();
    expect(await ways.seen(/D{2}E?C.*D$/)).toMatch(/^MHDDE?CMHD$/);
  });

  it('[MSBD-026] [MSBD-028] is another stream for MSBD clients', async () => {
    const ways = await Ways.open();
    await ways.pulled(/^CSP$/);
    ways.encoder.end(1);
    ways.encoder.send('H', testHeader().bytes);
    ways.encoder.key();
    const messages = await ways.pulled(/^CSPSP$/);
    const streamIds = messages.filter(({ id }) => id === 10).map(({ bytes }) => bytes.readUInt16LE(20));
    expect(streamIds[1]).not.toBe(streamIds[0]);
    const [first, second] = messages.filter(({ id }) => id === 5);
    expect(second!.bytes.readUInt16LE(16)).toBe(streamIds[1]);
    expect(first!.bytes.readUInt16LE(16)).toBe(streamIds[0]);
  });

  it('[MSB-069] [MSB-080] has another wStreamID in the multicast, and the same header in the .nsc file', async () => {
    const ways = await Ways.open();
    ways.encoder.key();
    await ways.multicast(1);
    ways.encoder.end(1);
    ways.encoder.send('H', testHeader().bytes);
    ways.encoder.key();
    const before = await ways.multicast(3);
    expect(before).toEqual([before[0], before[0]! ^ 0x8000]);
    const nsc = await ways.server.ask('GET /live.nsc HTTP/1.1', 'Host: x');
    expect(parseNsc(nsc.body.toString('latin1')).formats).toHaveLength(1);
  });
});

describe('an encoder that comes back', () => {
  it('continues the same entry everywhere, if it has not ended the entry', async () => {
    const ways = await Ways.open();
    await ways.seen(/HD$/);
    await ways.pulled(/^CSP$/);
    ways.encoder.key();
    ways.encoder.peer.close();
    const point = ways.server.server.points.get('/live')!;
    await until('the encoder to be lost', () => point.publisher?.lost);
    const again = await ways.server.push('/live', {}, { id: `${ways.encoder.id}; push-id=0` });
    again.key();
    expect(await ways.seen(/HDDD$/)).toBe('MHDDD');
    expect(shape(Buffer.concat((await ways.pulled(/^CSPPP$/)).map(({ bytes }) => bytes)))).toBe('CSPPP');
    expect(new Set(await ways.multicast(2)).size).toBe(1);
    expect(wireMessages(ways.puller.received).filter(({ id }) => id === 5)).toHaveLength(1);
  });
});
