import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readMetafile } from '../../src/announce/asx-read.js';
import { parseNsc } from '../../src/announce/nsc.js';
import type { AsfEvent } from '../../src/media/events.js';
import { parseConfig } from '../../src/server/config-file.js';
import { openSourceUrl } from '../../src/sources/table.js';
import { testHeader } from '../support/stream.js';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

const open: Array<{ close(): Promise<void> }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function station(more = ''): Promise<ServerStation> {
  const group = `239.255.77.${1 + Math.floor(Math.random() * 250)}`;
  const text = `points: [{ path: /live, multicast: { group: ${group}, port: ${await freePort()}, interface: 127.0.0.1, fec: 3${more} } }, { path: /other }]`;
  const made = await ServerStation.open({ points: parseConfig(text, 'serve.yaml').points });
  open.push(made);
  return made;
}

describe('a point made from a multicast template', () => {
  it('[WMHTTP-022] is multicast in the same group on a port of its own, until it is removed', async () => {
    const server = await station();
    const views = async () => {
      const { multicasts } = JSON.parse(
        (await server.ask('GET /api/multicasts HTTP/1.1', 'Host: 127.0.0.1')).body.toString(),
      );
      return multicasts as Array<{ path: string; group: string; port: number; fec: number; packets: number }>;
    };
    const [template] = await views();
    const encoders = [];
    for (const path of ['/one', '/two']) {
      const body = 'Template-URL: "/live"\r\nAutoDestroy: 1\r\n';
      encoders.push(await server.push(path, {}, { body }));
      encoders.at(-1)!.key();
    }
    const all = await until('both copies to send', async () => {
      const now = await views();
      return now.length === 3 && now.every(({ path, packets }) => path === '/live' || packets > 0) && now;
    });
    const { group, port, fec } = template!;
    expect(all.map((view) => [view.path, view.group, view.port, view.fec])).toEqual([
      ['/live', group, port, fec],
      ['/one', group, port + 1, fec],
      ['/two', group, port + 2, fec],
    ]);
    const nsc = await server.ask('GET /two.nsc HTTP/1.1', 'Host: server:8080');
    expect(parseNsc(nsc.body.toString('latin1'))).toMatchObject({ address: group, port: port + 2, ecc: 3 });
    encoders[0]!.end();
    await until('one copy to end', async () => (await views()).length === 2);
    expect((await server.ask('GET /one.nsc HTTP/1.1', 'Host: server')).status).toBe(404);
    const again = await server.push('/three', {}, { body: 'Template-URL: "/live"\r\nAutoDestroy: 0\r\n' });
    again.key();
    const third = await until('another copy', async () => (await views()).find(({ path }) => path === '/three'));
    expect(third.port).toBe(port + 1);
  });
});

describe('a multicast point', () => {
  it('[MSB-036] [MSB-075] is announced by an .nsc file that names the group, the headers, and the unicast URL', async () => {
    const server = await station(', ttl: 3, logUrl: "http://logs/log.dll"');
    expect((await server.ask('GET /live.nsc HTTP/1.1')).status).toBe(503);
    const encoder = await server.push('/live');
    encoder.key();
    let response = await server.ask('GET /live.nsc HTTP/1.1', 'Host: server:8080');
    while (response.status === 503) response = await server.ask('GET /live.nsc HTTP/1.1', 'Host: server:8080');
    expect(response.field('Content-Type')).toBe('video/x-ms-asf');
    const file = parseNsc(response.body.toString('latin1'));
    expect(file).toMatchObject({
      name: expect.stringMatching(/, live$/),
      version: '3.0',
      adapter: '127.0.0.1',
      address: expect.stringMatching(/^239\.255\.77\./),
      ttl: 3,
      ecc: 3,
      logUrl: 'http://logs/log.dll',
      unicastUrl: 'mms://server:8080/live',
      formats: [{ id: expect.any(Number) }],
    });
    const asx = await server.ask('GET /live.asx HTTP/1.1', 'Host: server:8080');
    expect(readMetafile(asx.body.toString())!.entries[0]!.refs).toEqual([
      'http://server:8080/live.nsc',
      'mms://server:8080/live',
      'http://server:8080/live?MSWMExt=.asf',
    ]);
    const other = await server.ask('GET /other.asx HTTP/1.1', 'Host: server:8080');
    expect(readMetafile(other.body.toString())!.entries[0]!.refs[0]).toBe('mms://server:8080/other');
    expect((await server.ask('GET /other.nsc HTTP/1.1')).status).toBe(404);
    const player = await server.ask('GET /live.nsc HTTP/1.1', 'User-Agent: NSPlayer/12.0', 'Host: server:8080');
    expect(player.body).toEqual(response.body);
  });

  it('is received with its .nsc file, across the end of one encoder and the start of another', async () => {
    const server = await station();
    const first = await server.push('/live');
    first.key();
    while ((await server.ask('GET /live.nsc HTTP/1.1')).status !== 200);
    const client = openSourceUrl(`http://127.0.0.1:${server.port}/live.nsc`, { interface: '127.0.0.1' });
    const events: AsfEvent[] = [];
    const done = (async () => {
      for await (const event of client) events.push(event);
    })();
    const count = (type: string) => events.filter((event) => event.type === type).length;
    while (count('packet') < 5) {
      first.key();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    first.end();
    first.peer.close();
    const second = await server.push('/live');
    while (count('header') < 2) {
      second.key();
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await client.close();
    await done;
    expect(client.description).toMatchObject({ live: true, url: expect.stringContaining('/live.nsc') });
    expect(events.map(({ type }) => type).filter((type) => type !== 'packet')).toEqual([
      'header',
      'end',
      'header',
      'end',
    ]);
    expect(client.stats).toMatchObject({ damagedPackets: 0, lostPackets: 0 });
  });

  it('[MSB-069] [MSB-079] sends each pushed entry under another wStreamID, though its header equals the last one', async () => {
    const server = await station();
    const encoder = await server.push('/live');
    encoder.key();
    const ask = () => server.ask('GET /live.nsc HTTP/1.1');
    let response = await ask();
    while (response.status !== 200) response = await ask();
    const { address, port, formats } = parseNsc(response.body.toString('latin1'));
    const listener = createSocket({ type: 'udp4', reuseAddr: true });
    open.push({ close: () => new Promise<void>((resolve) => listener.close(() => resolve())) });
    const datagrams: Buffer[] = [];
    listener.on('message', (bytes) => datagrams.push(bytes));
    await new Promise<void>((resolve) => listener.bind(port, address, resolve));
    listener.addMembership(address, '127.0.0.1');
    const received = (count: number) =>
      until(`${count} packets`, () => datagrams.filter(({ length }) => length > 4).length >= count);
    for (let entry = 0; entry < 3; entry++) {
      if (entry > 0) {
        encoder.end(1);
        encoder.send('C', Buffer.concat([Buffer.alloc(4), testHeader().bytes]));
        encoder.send('H', testHeader().bytes);
      }
      // With a parity packet for every three data packets.
      for (let packet = 0; packet < 6; packet++) encoder.key();
      await received(8 * (entry + 1));
    }
    const packets = datagrams.filter(({ length }) => length > 4);
    const streamIds = packets.map((bytes) => bytes.readUInt16LE(4));
    const entries = streamIds.filter((id, index) => id !== streamIds[index - 1]);
    expect(entries).toEqual([entries[0], entries[0]! ^ 0x8000, entries[0]]);
    expect(new Set(streamIds.map((id) => id & 0x7fff))).toEqual(new Set([formats[0]!.id]));
    const later = parseNsc((await ask()).body.toString('latin1'));
    expect(later.formats).toHaveLength(1);
  });

  it('[MSB-080] [MSB-107] is received as several entries, with a log for each, even if the header stays the same', async () => {
    const web = createServer((request, response) => {
      request.resume().once('end', () => {
        if (request.method === 'POST') posts++;
        response.end('<body><h1>WMS ISAPI Log Dll/9.0.0.1</h1></body>');
      });
    });
    let posts = 0;
    await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
    open.push({
      close: () => {
        web.closeAllConnections();
        return new Promise<void>((resolve) => web.close(() => resolve()));
      },
    });
    const { port } = web.address() as AddressInfo;
    const server = await station(`, logUrl: "http://127.0.0.1:${port}/log.dll"`);
    const encoder = await server.push('/live');
    encoder.key();
    while ((await server.ask('GET /live.nsc HTTP/1.1')).status !== 200);
    const client = openSourceUrl(`http://127.0.0.1:${server.port}/live.nsc`, { interface: '127.0.0.1' });
    const events: AsfEvent[] = [];
    const done = (async () => {
      for await (const event of client) events.push(event);
    })();
    const kinds = () =>
      events.map(({ type }) => type).filter((type, index, all) => type !== 'packet' || all[index - 1] !== type);
    const more = async (wanted: string[]) => {
      while (kinds().join() !== wanted.join()) {
        encoder.key();
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    };
    await more(['header', 'packet']);
    encoder.end(1);
    encoder.send('C', Buffer.concat([Buffer.alloc(4), testHeader().bytes]));
    encoder.send('H', testHeader().bytes);
    await more(['header', 'packet', 'end', 'header', 'packet']);
    const change = events.find(({ type }) => type === 'end');
    expect(change).toEqual({ type: 'end', moreEntries: true, reason: 1 });
    await client.close();
    await done;
    expect(posts).toBe(2);
  });

  it('is listed with its traffic, and is not a player', async () => {
    const server = await station();
    const encoder = await server.push('/live');
    encoder.key();
    const get = async (path: string) => JSON.parse((await server.ask(`GET ${path} HTTP/1.1`)).body.toString());
    const { multicasts } = await get('/api/multicasts');
    expect(multicasts).toEqual([
      {
        ...{ path: '/live', group: expect.stringMatching(/^239\.255\.77\./), port: expect.any(Number), ttl: 1, fec: 3 },
        ...{ live: expect.any(Boolean), packets: expect.any(Number), parityPackets: 0, beacons: 1, failed: 0 },
        bytes: expect.any(Number),
      },
    ]);
    while ((await get('/api/multicasts')).multicasts[0].packets === 0);
    expect(await get('/api/players')).toEqual({ total: 0, players: [] });
    expect((await get('/api/points/live')).players).toBe(0);
  });

  it('is a configuration error if there is no such interface', async () => {
    const text = (change: string) => `points: [{ path: /live, multicast: { group: 239.1.2.3, port: 5000${change} } }]`;
    const points = parseConfig(text(', interface: nothing0'), 'serve.yaml').points;
    await expect(ServerStation.open({ points })).rejects.toThrow(
      '/live cannot be multicast: There is no network interface nothing0 with IPv4 on this host.',
    );
    for (const [bad, message] of [
      [text(', fec: 16'), 'fec'],
      [text(', ttl: 256'), 'ttl'],
      [text(', colour: red'), 'colour'],
      [text('').replace('239.1.2.3', '10.1.2.3'), 'must be the address of a multicast group'],
    ] as const) {
      expect(() => parseConfig(bad, 'serve.yaml')).toThrow(message);
    }
  });
});
