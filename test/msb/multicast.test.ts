import { createSocket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildNsc, type NscFile } from '../../src/announce/nsc.js';
import { restorePadding } from '../../src/asf/padding.js';
import { WmError } from '../../src/errors.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { MsbClient } from '../../src/msb/client/client.js';
import { isNscLocation, openNsc } from '../../src/msb/client/open-nsc.js';
import { MulticastReceiver } from '../../src/msb/client/receiver.js';
import { BEACON } from '../../src/msb/messages/packet.js';
import { parseMsbUrl } from '../../src/msb/messages/url.js';
import { type MulticastOptions, MulticastSender } from '../../src/msb/server/sender.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { until } from '../support/until.js';
import { liveAudio, liveVideo, PACKET_SIZE, packets } from './support.js';

// Systems do not route IPv6 multicast over the loopback interface. With a hop limit of 0, nothing leaves the host by
// another one.
const [ipv6] = Object.entries(networkInterfaces()).find(([, all]) =>
  all?.some(({ family, internal }) => family === 'IPv6' && !internal),
) ?? [undefined];
const FAMILIES = [
  ['IPv4', '127.0.0.1', () => `239.255.${byte()}.${byte()}`],
  ...(ipv6 === undefined ? [] : ([['IPv6', ipv6, () => `ff11::${byte()}:${byte()}`]] as const)),
] as const;

function byte(): number {
  return 1 + Math.floor(Math.random() * 250);
}

/** Returns a UDP port that nobody uses. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

const open: Array<{ close(): unknown }> = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.close();
});

async function sender(options: Partial<MulticastOptions> = {}): Promise<MulticastSender> {
  const group = { address: `239.255.${byte()}.${byte()}`, port: await freePort(), interface: '127.0.0.1', ...options };
  const made = await MulticastSender.open(group);
  open.push(made);
  return made;
}

/** Iterates a source until it has delivered this many packets. */
function collect(source: AsfSource, wanted = Number.POSITIVE_INFINITY): { events: AsfEvent[]; done: Promise<void> } {
  const events: AsfEvent[] = [];
  const run = async () => {
    for await (const event of source) {
      events.push(event);
      if (filesOf(events).length >= wanted) await source.close();
    }
  };
  return { events, done: run() };
}

const filesOf = (events: readonly AsfEvent[]) =>
  events.flatMap((event) => (event.type === 'packet' ? [restorePadding(event.packet, PACKET_SIZE)] : []));

/** Sends packets repeatedly until a newly opened receiver has joined. */
async function warmUp(from: MulticastSender, receiver: MulticastReceiver): Promise<void> {
  await until('the receiver to have joined', () => {
    from.write({ type: 'end', moreEntries: false, reason: 0 });
    from.write({ type: 'header', header: liveAudio('warm-up') });
    from.write({ type: 'packet', packet: packets(1)[0]! });
    return (receiver.stats?.packets ?? 0) + (receiver.stats?.unknownFormat ?? 0) > 0;
  });
}

describe.each(FAMILIES)('a multicast over %s', (_, own, group) => {
  it('[MSB-002] [MSB-033] [MSB-088] [MSB-107] carries every packet of every entry, byte for byte', async () => {
    const from = await sender({ address: group(), interface: own, span: 4, ttl: 0 });
    for (const title of ['warm-up', 'one', 'two']) from.write({ type: 'header', header: liveAudio(title) });
    const receiver = new MulticastReceiver({ nsc: from.announcement(), interface: own });
    open.push(receiver);
    const received = collect(receiver);
    await warmUp(from, receiver);
    const before = filesOf(received.events).length;
    for (const title of ['one', 'two', 'two']) {
      from.write({ type: 'header', header: liveAudio(title) });
      for (const packet of packets(20)) from.write({ type: 'packet', packet });
    }
    from.write({ type: 'end', moreEntries: false, reason: 0 });
    await until('60 more packets', () => filesOf(received.events).length >= before + 60);
    await receiver.close();
    await received.done;
    const kinds = received.events.map(({ type }) => type);
    const firstEntry = received.events.findIndex(
      (event) => event.type === 'header' && event.header.bytes.equals(liveAudioBytes('one', from)),
    );
    expect(kinds.slice(firstEntry)).toEqual([
      ...['header', ...Array(20).fill('packet'), 'end', 'header', ...Array(20).fill('packet'), 'end'],
      ...['header', ...Array(20).fill('packet'), 'end'],
    ]);
    const sent = packets(20).map(({ bytes }) => bytes);
    expect(filesOf(received.events.slice(firstEntry))).toEqual([...sent, ...sent, ...sent]);
    expect(receiver.stats).toMatchObject({ lost: 0, recovered: 0, malformed: 0 });
  });
});

function liveAudioBytes(title: string, from: MulticastSender): Buffer {
  return from.formats.find(({ description }) => description === title)!.header;
}

describe('MulticastSender', () => {
  /** Opens a socket in the group that records what arrives. */
  async function listener({ address, port }: { address: string; port: number }): Promise<{ datagrams: Buffer[] }> {
    const socket = createSocket({ type: 'udp4', reuseAddr: true });
    const datagrams: Buffer[] = [];
    socket.on('message', (bytes) => datagrams.push(bytes));
    await new Promise<void>((resolve) => socket.bind(port, address, resolve));
    socket.addMembership(address, '127.0.0.1');
    open.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
    return { datagrams };
  }

  it('[MSB-061] [MSB-074] [MSB-077] [MSB-078] [MSB-081] [MSB-086] [MSB-087] sends Beacons while it has nothing else to send', async () => {
    const group = { address: `239.255.${byte()}.${byte()}`, port: await freePort() };
    const { datagrams } = await listener(group);
    const from = await sender({ ...group, beaconInterval: 1_000 });
    await until('two datagrams', () => datagrams.length >= 2);
    expect(datagrams).toEqual([BEACON, BEACON]);
    from.write({ type: 'header', header: liveAudio() });
    let number = 0;
    const stream = setInterval(() => from.write({ type: 'packet', packet: packets(1, number++)[0]! }), 50);
    await until('26 packets', () => number >= 26);
    clearInterval(stream);
    await until('28 datagrams', () => datagrams.length >= 28);
    expect(datagrams.slice(2).some((datagram) => datagram.equals(BEACON))).toBe(false);
    from.write({ type: 'end', moreEntries: false, reason: 0 });
    await until('a beacon', () => datagrams.at(-1)!.equals(BEACON));
    expect(from.stats.beacons).toBe(3);
    for (const beaconInterval of [999, 10_001]) {
      await expect(MulticastSender.open({ ...group, beaconInterval })).rejects.toThrow('every 1 to 10 seconds');
    }
  });

  it('[MSB-035] announces what receivers need, with the span when there is parity', async () => {
    let changes = 0;
    const from = await sender({ span: 10, ttl: 7, onFormats: () => changes++ });
    from.write({ type: 'header', header: liveAudio('one') });
    from.write({ type: 'header', header: liveAudio('two') });
    from.write({ type: 'header', header: liveAudio('one') });
    expect(changes).toBe(2);
    expect(from.announcement({ unicastUrl: 'mms://h/x' })).toMatchObject({
      ttl: 7,
      ecc: 10,
      adapter: '127.0.0.1',
      unicastUrl: 'mms://h/x',
      formats: [{ description: 'one' }, { description: 'two' }],
    });
    expect(buildNsc(from.announcement())).toContain('Default Ecc=0x0000000A\r\n');
    const without = await sender();
    without.write({ type: 'header', header: liveAudio() });
    expect(buildNsc(without.announcement())).not.toContain('Default Ecc');
  });

  it('refuses addresses that are not groups, and unknown interfaces, with one sentence', async () => {
    const group = { address: '239.1.2.3', port: 5000 };
    await expect(MulticastSender.open({ ...group, address: '10.0.0.1' })).rejects.toMatchObject({ code: 'WM_USAGE' });
    await expect(MulticastSender.open({ ...group, interface: 'nothing0' })).rejects.toThrow(
      'There is no network interface nothing0 with IPv4 on this host.',
    );
    await expect(MulticastSender.open({ ...group, span: 16 })).rejects.toMatchObject({ code: 'WM_PROTOCOL' });
  });

  it('goes on if a packet does not fit a datagram, and reports it once', async () => {
    const notes: string[] = [];
    const from = await sender({ warn: (text) => notes.push(text) });
    from.write({ type: 'packet', packet: packets(1)[0]! });
    from.write({ type: 'packet', packet: packets(1)[0]! });
    expect(from.stats.failed).toBe(2);
    expect(notes.length).toBe(1);
    from.write({ type: 'header', header: liveAudio() });
    from.write({ type: 'packet', packet: packets(1)[0]! });
    expect(from.stats).toMatchObject({ packets: 1, failed: 2 });
    await from.close();
    await from.close();
    from.write({ type: 'packet', packet: packets(1)[0]! });
    expect(from.stats.packets).toBe(1);
  });
});

describe('MulticastReceiver', () => {
  const unheard = async (more: Partial<NscFile> = {}): Promise<NscFile> => {
    const from = await sender();
    from.write({ type: 'header', header: liveAudio() });
    const { formats } = from;
    return { address: '239.255.251.252', port: await freePort(), formats, ...more };
  };
  /** A clock that runs a hundred times as fast. */
  const fast = () => performance.now() * 100;

  it('[MSB-103] falls back to the Unicast URL if nothing arrives', async () => {
    const opened: string[] = [];
    const header = liveAudio();
    const unicast: AsfSource = {
      async *[Symbol.asyncIterator]() {
        yield { type: 'header', header };
        yield { type: 'end', moreEntries: false, reason: 0 };
      },
      close: async () => {},
    };
    const receiver = new MulticastReceiver({
      nsc: await unheard({ unicastUrl: 'mms://server/live' }),
      interface: '127.0.0.1',
      now: fast,
      openUrl: (url) => {
        opened.push(url);
        return unicast;
      },
    });
    const { events, done } = collect(receiver);
    await done;
    expect(opened).toEqual(['mms://server/live']);
    expect(events.map(({ type }) => type)).toEqual(['header', 'end']);
    expect(receiver.unicast).toBe(true);
  });

  it('[MSB-104] reports a time-out if there is no Unicast URL', async () => {
    const receiver = new MulticastReceiver({
      nsc: await unheard(),
      interface: '127.0.0.1',
      now: fast,
      openUrl: () => receiver,
    });
    await expect(collect(receiver).done).rejects.toMatchObject({
      code: 'WM_UNREACHABLE',
      message: expect.stringMatching(
        /^Nothing came from the group .* in 20 s, and there is no Unicast URL to fall back to\.$/,
      ),
    });
  });

  it.each(['/etc/secret.asx', 'c:\\secret.asx', 'secret.nsc', 'http://server/again.nsc'])(
    'opens no files and no other .nsc files as the Unicast URL: %s',
    async (unicastUrl) => {
      const opened: string[] = [];
      const receiver = new MulticastReceiver({
        nsc: await unheard({ unicastUrl }),
        interface: '127.0.0.1',
        now: fast,
        openUrl: (url) => {
          opened.push(url);
          return { async *[Symbol.asyncIterator]() {}, close: async () => {} };
        },
      });
      await expect(collect(receiver).done).rejects.toMatchObject({ code: 'WM_UNREACHABLE' });
      expect(opened).toEqual([]);
    },
  );

  it('[MSB-095] [MSB-101] [MSB-102] ends after the End of Stream timer and submits a log to the web server', async () => {
    const web = await LogServer.start();
    open.push(web);
    const from = await sender();
    from.write({ type: 'header', header: liveAudio('warm-up') });
    let skipped = 0;
    const receiver = new MulticastReceiver({
      nsc: from.announcement({ logUrl: web.url }),
      nscUrl: 'http://web/live.nsc',
      interface: '127.0.0.1',
      now: () => performance.now() + skipped,
    });
    open.push(receiver);
    const { events, done } = collect(receiver);
    await warmUp(from, receiver);
    for (const packet of packets(9, 1)) from.write({ type: 'packet', packet });
    await until('10 packets', () => filesOf(events).length >= 10);
    skipped = 31_000;
    await done;
    expect(events.at(-1)).toEqual({ type: 'end', moreEntries: false, reason: 0 });
    // It asks first whether the server takes logs.
    const methods = web.requests.map(({ method }) => method);
    expect(methods[0]).toBe('GET');
    expect(methods.indexOf('POST')).toBeGreaterThan(0);
    const post = web.requests.find(({ method }) => method === 'POST')!;
    expect(post.headers['content-type']).toBe('text/plain;charset=UTF-8');
    const values = /^MX_STATS_LogLine: \t(.*)$/.exec(post.body)![1]!.split(' ');
    expect(values.length).toBe(47);
    const { address, port } = from.announcement();
    expect([values[0], values[4], values[22], values[23], values[32], values[40], values[44]]).toEqual([
      '0.0.0.0',
      `asfm://${address}:${port}`,
      'asfm',
      'UDP',
      '0',
      address,
      `asfm://${address}:${port}`,
    ]);
    expect(values[26]).toBe('http://web/live.nsc');
  });

  /** Lets a receiver with this Log URL join a group, and sends it exactly these datagrams. */
  async function receiveDatagrams(transmission: MsbTransmission, logUrl: string, notes: string[] = []) {
    const group = { address: `239.255.${byte()}.${byte()}`, port: await freePort() };
    const nsc = { ...group, formats: transmission.formats, logUrl };
    const onNote = (text: string) => notes.push(text);
    const receiver = new MulticastReceiver({ nsc, nscUrl: 'http://web/a.nsc', interface: '127.0.0.1', onNote });
    open.push(receiver);
    const { done } = collect(receiver);
    const socket = createSocket('udp4');
    open.push({ close: () => new Promise<void>((resolve) => socket.close(() => resolve())) });
    await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
    socket.setMulticastInterface('127.0.0.1');
    const send = (bytes: Buffer) =>
      new Promise<void>((resolve) => socket.send(bytes, group.port, group.address, () => resolve()));
    await until('a beacon to be received', () => {
      void send(BEACON);
      return (receiver.stats?.beacons ?? 0) > 0;
    });
    return { receiver, done, send };
  }

  const lineOf = (body: string) => /^MX_STATS_LogLine: \t(.*)$/.exec(body)![1]!.split(' ');

  it('[WMLOG-078] [WMLOG-080] reports rebuilt and lost packets as MS-WMLOG counts them', async () => {
    const web = await LogServer.start();
    open.push(web);
    const transmission = new MsbTransmission({ span: 10 });
    transmission.header(liveAudio());
    const { receiver, done, send } = await receiveDatagrams(transmission, web.url);
    const gone = new Set([15, 39, 40, 72, 73]);
    for (const [index, packet] of packets(102).entries()) {
      const [data, ...parity] = transmission.packet(packet);
      for (const datagram of [...(gone.has(index) ? [] : [data!]), ...parity]) await send(datagram);
    }
    for (const datagram of transmission.end()) await send(datagram);
    await until('108 packets', () => receiver.stats!.packets + receiver.stats!.parityPackets >= 108);
    await receiver.close();
    await done;
    const values = lineOf(web.requests.find(({ method }) => method === 'POST')!.body);
    // received, lost-client, lost-net, lost-cont-net, resendreqs, recovered-ECC, recovered-resent
    expect(values.slice(30, 37)).toEqual(['97', '2', '5', '2', '-', '3', '0']);
    expect(values[39]).toBe('98');
  });

  it('submits logs a few at a time, and drops some, when entries end in quick succession', async () => {
    const web = await LogServer.start();
    open.push(web);
    const transmission = new MsbTransmission();
    transmission.header(liveAudio());
    const notes: string[] = [];
    const { receiver, done, send } = await receiveDatagrams(transmission, web.url, notes);
    let sent = 0;
    for (let entry = 0; entry < 100; entry++) {
      for (const packet of packets(3, entry * 3)) {
        for (const datagram of transmission.packet(packet)) await send(datagram);
        sent++;
      }
      transmission.header(liveAudio());
      await until('what was sent', () => receiver.stats!.packets >= sent);
    }
    await receiver.close();
    await done;
    expect(web.mostAtOnce).toBeLessThanOrEqual(2);
    const posts = web.requests.filter(({ method }) => method === 'POST').map(({ body }) => lineOf(body));
    expect(posts.length).toBeGreaterThan(10);
    expect(notes.length).toBeLessThanOrEqual(1);
    // A session has a single c-playerid.
    expect(new Set(posts.map((values) => values[9])).size).toBe(1);
  });

  it('[WMLOG-022] [WMLOG-023] names an anonymous player, a different one for each session', async () => {
    const web = await LogServer.start();
    open.push(web);
    for (let session = 0; session < 2; session++) {
      const transmission = new MsbTransmission();
      transmission.header(liveAudio());
      const { receiver, done, send } = await receiveDatagrams(transmission, web.url);
      for (const datagram of transmission.packet(packets(1)[0]!)) await send(datagram);
      await until('the packet', () => receiver.stats!.packets > 0);
      await receiver.close();
      await done;
    }
    const posts = web.requests.filter(({ method }) => method === 'POST').map(({ body }) => lineOf(body)[9]!);
    expect(posts).toHaveLength(2);
    for (const id of posts) expect(id).toMatch(/^\{3300AD50-2C39-46c0-AE0A-[0-9A-F]{12}\}$/);
    expect(posts[0]).not.toBe(posts[1]);
  });

  it('[MSB-106] submits no log if nothing could be rendered', async () => {
    const web = await LogServer.start();
    open.push(web);
    const transmission = new MsbTransmission();
    transmission.header(liveVideo());
    const { receiver, done, send } = await receiveDatagrams(transmission, web.url);
    for (const packet of packets(5)) for (const datagram of transmission.packet(packet)) await send(datagram);
    await until('5 packets', () => receiver.stats!.packets >= 5);
    await receiver.close();
    await done;
    expect(web.requests).toEqual([]);
  });

  it('[WMLOG-076] [WMLOG-079] submits nothing to a web server that does not take logs, and goes on', async () => {
    const web = await LogServer.start('<body>Hello</body>');
    open.push(web);
    const notes: string[] = [];
    const from = await sender();
    from.write({ type: 'header', header: liveAudio('warm-up') });
    const nsc = from.announcement({ logUrl: web.url });
    const receiver = new MulticastReceiver({ nsc, interface: '127.0.0.1', onNote: (text) => notes.push(text) });
    const { done } = collect(receiver);
    await warmUp(from, receiver);
    await receiver.close();
    await done;
    expect(web.requests.map(({ method }) => method)).toEqual(['GET']);
    expect(notes).toEqual([expect.stringContaining('does not take logs')]);
  });
});

/** A web server that takes logs, as Windows Media Services' wmsiislog.dll does. */
class LogServer {
  readonly requests: Array<{ method: string; body: string; headers: IncomingMessage['headers'] }> = [];
  readonly url: string;
  /** The most simultaneous requests. */
  mostAtOnce = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/log.dll`;
  }

  static async start(greeting = '<body><h1>WMS ISAPI Log Dll/9.00.00.3372</h1></body>'): Promise<LogServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const own = new LogServer(server);
    let open = 0;
    server.on('request', async (request, response) => {
      own.mostAtOnce = Math.max(own.mostAtOnce, ++open);
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      // Answers late, so that requests that can overlap do.
      await new Promise((resolve) => setTimeout(resolve, 5));
      open--;
      own.requests.push({ method: request.method!, body: Buffer.concat(chunks).toString(), headers: request.headers });
      response.end(greeting);
    });
    return own;
  }

  close(): Promise<void> {
    this.#server.closeAllConnections();
    return new Promise((resolve) => this.#server.close(() => resolve()));
  }
}

describe('where .nsc files are found', () => {
  it('[MSB-003] is a path or a URL, even after a redirect', async () => {
    const from = await sender();
    from.write({ type: 'header', header: liveAudio('one') });
    const text = buildNsc(from.announcement());
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-nsc-'));
    open.push({ close: () => rm(folder, { recursive: true }) });
    const path = join(folder, 'live.nsc');
    await writeFile(path, text);
    const server = createServer((request, response) => {
      if (request.url === '/old.nsc') response.writeHead(302, { Location: 'live.nsc' }).end();
      else if (request.url === '/live.nsc') response.end(text);
      else response.writeHead(404).end('Nothing here.\n');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    open.push({ close: () => new Promise<void>((resolve) => server.close(() => resolve())) });
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const expected = { address: from.announcement().address, formats: from.formats };
    for (const place of [path, `${base}/live.nsc`, `${base}/old.nsc`])
      expect(await openNsc(place)).toMatchObject(expected);
    expect(await MsbClient.describe({ url: path })).toMatchObject({ live: true, group: { address: expected.address } });
    await expect(openNsc(`${base}/none.nsc`)).rejects.toThrow(
      `${base}/none.nsc answered with status 404: Nothing here.`,
    );
    await expect(openNsc(join(folder, 'none.nsc'))).rejects.toMatchObject({ code: 'WM_NO_INPUT' });
    for (const encoding of ['utf8', 'utf16le'] as const) {
      await writeFile(path, `\ufeff${text}`, encoding);
      expect(await openNsc(path)).toMatchObject(expected);
    }
    await writeFile(path, 'GIF89a');
    await expect(openNsc(path)).rejects.toThrow('is not an .nsc file');
  });

  it('is recognised by its ending', () => {
    const yes = ['live.nsc', '/a/b.NSC', 'http://h/x.nsc', 'https://h/x.nsc?a=b', 'C:\\x.nsc'];
    expect(yes.every(isNscLocation)).toBe(true);
    const no = ['http://h/x.asx', 'live.asf', 'msbd://h/x.nsc', 'http://h/x?y=.nsc', ''];
    expect(no.some(isNscLocation)).toBe(false);
    expect(() => new MsbClient({ url: 'live.asf' })).toThrow(WmError);
  });
});

describe('msb:// URLs', () => {
  it('name a group and how to send to it', () => {
    expect(parseMsbUrl('msb://239.1.2.3:5000')).toEqual({ address: '239.1.2.3', port: 5000 });
    expect(parseMsbUrl(' msb://239.1.2.3:5000?ttl=4&iface=eth0&fec=10 ')).toEqual({
      address: '239.1.2.3',
      port: 5000,
      ttl: 4,
      interface: 'eth0',
      span: 10,
    });
    expect(parseMsbUrl('msb://[ff15::7]:5000?interface=%3A%3A1')).toMatchObject({
      address: 'ff15::7',
      interface: '::1',
    });
  });

  it.each([
    'msb://',
    'msb://10.0.0.1:5000',
    'msb://239.1.2.3',
    'msb://239.1.2.3:0',
    'msb://239.1.2.3:5000?fec=16',
    'msb://239.1.2.3:5000?ttl=x',
    'msb://239.1.2.3:5000?tll=1',
  ])('are refused if they do not: %s', (url) => {
    expect(() => parseMsbUrl(url)).toThrow(expect.objectContaining({ code: 'WM_USAGE' }));
  });
});
