// Requests of a session that come over other connections than its first, on a server with workers or, with --cluster, at another
// node of its cluster: each must reach the process that has the session. Prints one JSON line; exit status 1 if a round failed.
//
//   npm run build && node bench/rounds.mjs [--rounds 1000] [--workers 4 | --cluster]      --cluster needs nats-server
//
// A round is all of these, each on a fresh connection: SelectStream, Log and Stop of a WMSP player that goes on playing meanwhile;
// an RTSP session that goes on over a second connection, by TCP and by UDP; MMSP packets that are asked for again; and PushStart.
import { spawn } from 'node:child_process';
import dgram from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setImmediate } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { AsfReader } from '../dist/asf/reader.js';
import * as mms from '../dist/mmsp/messages/client.js';
import { wrapMessages } from '../dist/mmsp/messages/frame.js';
import { buildResendRequest } from '../dist/mmsp/messages/resend.js';
import { testFile } from './stream.mjs';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '1000' },
    workers: { type: 'string', default: '4' },
    cluster: { type: 'boolean' },
  },
});
const HOST = '127.0.0.1';
const bin = (name) => new URL(`../bin/${name}.js`, import.meta.url).pathname;
const NATS = 'nats-server';
const PATIENCE = 10_000;
const SIGNATURE = 0xb00bface;
const NO_PACKET_PAIR = 0xf0f0f0ef;

/** A connection that keeps what it receives. */
class Peer {
  received = Buffer.alloc(0);
  ended = false;
  #watchers = new Set();

  static async connect(port) {
    const socket = net.connect({ host: HOST, port, noDelay: true });
    await once(socket, 'connect');
    return new Peer(socket);
  }

  constructor(socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      for (const watcher of this.#watchers) watcher();
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      this.ended = true;
      for (const watcher of this.#watchers) watcher();
    });
  }

  send(...parts) {
    this.socket.write(
      Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part))),
    );
  }

  /** Waits until what was received fits, and returns what `find` returns. */
  until(what, find) {
    return waitFor(what, this.#watchers, () => {
      const found = find(this.received);
      if (found !== undefined && found !== false) return found;
      if (this.ended) throw new Error(`The connection ended before ${what}.`);
      return undefined;
    });
  }

  /** Waits for a response, and takes it. */
  async response(what) {
    const { head, size } = await this.until(what, (bytes) => {
      const end = bytes.indexOf('\r\n\r\n');
      if (end < 0) return undefined;
      const text = bytes.toString('latin1', 0, end);
      const all = end + 4 + Number(/^content-length: *(\d+)/im.exec(text)?.[1] ?? 0);
      return bytes.length >= all ? { head: text, size: all, end } : undefined;
    });
    const body = this.received.subarray(head.length + 4, size).toString('latin1');
    this.received = this.received.subarray(size);
    return { head, body, status: Number(/^\S+ (\d+)/.exec(head)[1]) };
  }

  close() {
    this.socket.destroy();
  }
}

function waitFor(what, watchers, find) {
  return new Promise((resolve, reject) => {
    const end = (settle, value) => {
      clearTimeout(timer);
      watchers.delete(look);
      settle(value);
    };
    const timer = setTimeout(() => end(reject, new Error(`Waited ${PATIENCE / 1000} s for ${what}.`)), PATIENCE);
    const look = () => {
      try {
        const found = find();
        if (found !== undefined) end(resolve, found);
      } catch (error) {
        end(reject, error);
      }
    };
    watchers.add(look);
    look();
  });
}

/** A UDP port that keeps what it receives. */
class Datagrams {
  all = [];
  #watchers = new Set();

  static async open() {
    const socket = dgram.createSocket('udp4').bind(0, HOST);
    await once(socket, 'listening');
    return new Datagrams(socket);
  }

  constructor(socket) {
    this.socket = socket;
    this.port = socket.address().port;
    socket.on('message', (bytes) => {
      this.all.push(bytes);
      for (const watcher of this.#watchers) watcher();
    });
  }

  until(what, find) {
    return waitFor(what, this.#watchers, () => find(this.all) || undefined);
  }

  close() {
    this.socket.close();
  }
}

function expect(what, actual, wanted) {
  if (actual !== wanted) throw new Error(`${what}: ${actual} instead of ${wanted}.`);
}

async function ask(port, what, lines, wanted, body = '') {
  const peer = await Peer.connect(port);
  try {
    peer.send([...lines, 'Host: 127.0.0.1', `Content-Length: ${body.length}`, '', ''].join('\r\n'));
    // The body comes while the connection is on its way to the right process.
    await setImmediate();
    peer.send(body);
    const response = await peer.response(`the answer to ${what}`);
    expect(what, response.status, wanted);
    return response;
  } finally {
    peer.close();
  }
}

const AGENT = 'User-Agent: NSPlayer/9.0.0.2980';

async function wmsp({ http }, other) {
  const player = await Peer.connect(http);
  try {
    const streams = ['Pragma: stream-switch-count=2', 'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0'];
    player.send(['GET /live HTTP/1.0', AGENT, 'Pragma: xPlayStrm=1', ...streams, '', ''].join('\r\n'));
    const id = await player.until('the client-id', (bytes) => /client-id=(\d+)/.exec(bytes.toString('latin1'))?.[1]);
    await player.until('packets', (bytes) => bytes.includes('$D'));
    const pragma = `Pragma: client-id=${id}`;
    const select = ['stream-switch-count=1', 'stream-switch-entry=ffff:1:1'].map((token) => `Pragma: ${token}`);
    await ask(other.http, 'SelectStream', ['POST /live HTTP/1.0', AGENT, pragma, ...select], 200);
    const type = 'Content-Type: application/x-wms-logstats';
    await ask(other.http, 'Log', ['POST /live HTTP/1.0', AGENT, pragma, type], 204, '<XML></XML>');
    await ask(other.http, 'Stop', ['POST /live HTTP/1.0', AGENT, pragma, 'Pragma: xStopStrm=1'], 200);
    await player.until('the end of the stream', (bytes) => player.ended || bytes.includes('$E'));
  } finally {
    player.close();
  }
}

async function rtsp({ rtsp: port }, other, path, transport) {
  const url = `rtsp://${HOST}:${port}${path}`;
  const media = transport === 'udp' ? await Datagrams.open() : undefined;
  let [first, second] = [await Peer.connect(port), undefined];
  let sequence = 0;
  const send = async (peer, method, target, ...more) => {
    const supported = 'Supported: com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.eosmsg';
    const common = [`CSeq: ${++sequence}`, 'User-Agent: WMPlayer/9.0.0.4503', supported];
    peer.send([`${method} ${target} RTSP/1.0`, ...common, ...more, '', ''].join('\r\n'));
    const response = await peer.response(`the answer to ${method}`);
    expect(method, response.status, 200);
    return response;
  };
  const plays = async (peer) => {
    if (!media) return peer.until('RTP packets', (bytes) => bytes.includes(Buffer.from([0x24, 0])));
    const before = media.all.length;
    return media.until('RTP packets', (all) => all.length > before);
  };
  try {
    const { body } = await send(first, 'DESCRIBE', url, 'Accept: application/sdp');
    const base = /^a=control:(\S+)/m.exec(body)?.[1] ?? url;
    const streams = body.split(/^m=/m).filter((part) => part.includes('x-asf-pf'));
    const control = /^a=control:(\S+)/m.exec(streams[0])[1];
    const way = media ? `RTP/AVP/UDP;unicast;client_port=${media.port}` : 'RTP/AVP/TCP;unicast;interleaved=0-1';
    const target = control.includes('://') ? control : base + control;
    const { head } = await send(first, 'SETUP', target, `Transport: ${way};mode=PLAY`);
    const session = `Session: ${/^session: *(\d+)/im.exec(head)[1]}`;
    await send(first, 'PLAY', base, session, 'Range: npt=0.000-');
    await plays(first);
    first.close();
    second = await Peer.connect(other.rtsp);
    await send(second, 'PLAY', base, session, ...(path === '/live' ? [] : ['Range: npt=1.000-']));
    await plays(second);
    second.send([`TEARDOWN ${base} RTSP/1.0`, `CSeq: ${++sequence}`, session, '', ''].join('\r\n'));
    await second.until('the answer to TEARDOWN', (bytes) => bytes.includes(`CSeq: ${sequence}\r\n`));
  } finally {
    first.close();
    second?.close();
    media?.close();
  }
}

/** The messages of a connection of MMSP so far: [number, body]. */
function mmsMessages(bytes) {
  const found = [];
  for (let at = 0; at + 40 <= bytes.length; ) {
    if (bytes.readUInt32LE(at + 4) !== SIGNATURE) break;
    const size = bytes.readUInt32LE(at + 8) + 16;
    if (at + size > bytes.length) break;
    found.push([bytes.readUInt32LE(at + 36) & 0xffff, bytes.subarray(at + 32, at + size)]);
    at += size;
  }
  return found;
}

async function mmsp({ mms: port }, other) {
  const media = await Datagrams.open();
  const peer = await Peer.connect(port);
  let sequence = 0;
  const send = (message) => peer.send(wrapMessages(message, sequence++, 0));
  const message = (what, number) =>
    peer.until(what, (bytes) => mmsMessages(bytes).find(([each]) => each === number)?.[1]);
  try {
    send(mms.buildConnect('NSPlayer/9.0.0.2980; {3300AD50-2C39-46C0-AE0A-4F6B136D663C}', NO_PACKET_PAIR));
    await message('ReportConnectedEX', 0x01);
    send(mms.buildFunnelInfo(NO_PACKET_PAIR));
    const clientId = (await message('ReportFunnelInfo', 0x15)).readUInt32LE(28);
    send(mms.buildConnectFunnel({ transport: 'udp', address: HOST, port: media.port }));
    await message('ReportConnectedFunnel', 0x02);
    send(mms.buildOpenFile(1, 'film.wmv'));
    await message('ReportOpenFile', 0x06);
    send(
      mms.buildStreamSwitch([
        { destination: 1, source: 0xffff, level: 0 },
        { destination: 2, source: 0xffff, level: 0 },
      ]),
    );
    await message('ReportStreamSwitch', 0x21);
    send(mms.buildStartPlaying({ openFileId: 1, incarnation: 7, position: 0 }));
    await message('StartedPlaying', 0x05);
    const isData = (bytes) => bytes[4] === 7;
    await media.until('Data packets', (all) => all.filter(isData).length > 6);
    const { 3: lost } = media.all.filter(isData);
    const same = (all) => all.filter((each) => each.equals(lost)).length;
    const request = buildResendRequest({ clientId, sourceId: 1, numbers: [lost[5]] });
    media.socket.send(request, other.mms, HOST);
    await media.until('a packet again', (all) => same(all) > 1);
  } finally {
    peer.close();
    media.close();
  }
}

async function push({ http }, other, stream) {
  const request = (kind, id, length) =>
    [
      'POST /pushed HTTP/1.1',
      'User-Agent: WMEncoder/12.0',
      'Host: 127.0.0.1',
      `Content-Type: application/x-wms-push${kind}`,
      `Cookie: push-id=${id}`,
      `Content-Length: ${length}`,
      '',
      '',
    ].join('\r\n');
  const setup = await Peer.connect(http);
  const start = await Peer.connect(other.http);
  try {
    setup.send(request('setup', '0', 0));
    const { head, status } = await setup.response('the answer to PushSetup');
    expect('PushSetup', status, 204);
    const id = /push-id=(\d+)/.exec(head)[1];
    start.send(request('start', id, stream.length), stream);
    expect('PushStart', (await start.response('the answer to PushStart')).status, 204);
  } finally {
    setup.close();
    start.close();
  }
}

/** A header, some packets and the end, as WMHTTP frames them. */
function pushed(bytes) {
  const reader = new AsfReader();
  const items = [...reader.push(bytes), ...reader.end()];
  const frame = (id, payload) =>
    Buffer.concat([Buffer.from([0x24, id.charCodeAt(0), payload.length & 255, payload.length >> 8]), payload]);
  const { header } = items.find(({ type }) => type === 'header');
  const packets = items.filter(({ type }) => type === 'packet').slice(0, 20);
  return Buffer.concat([
    frame('H', header.bytes),
    ...packets.map(({ packet }) => frame('D', packet.bytes)),
    frame('E', Buffer.alloc(4)),
  ]);
}

/** Starts a server. @param how its processes, or its cluster */
async function startServer(folder, how) {
  const args = ['--host', HOST, '--http-port', '0', '--mms-port', '0', '--rtsp-port', '0', '--msbd-port', 'none'];
  const more = ['--admin-port', 'none', ...how, '--content', folder, '--json', '-q'];
  const server = spawn(process.execPath, [bin('wmcast'), 'serve', ...args, ...more], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: server.stdout });
  const [line] = await once(lines, 'line');
  const { ports } = JSON.parse(line);
  const live = new Promise((resolve) => {
    lines.on('line', (text) => ['created', 'publishing'].includes(JSON.parse(text).what) && resolve());
  });
  return { server, ports, live };
}

/** Starts nats-server and two nodes. */
async function startNodes(folder) {
  const finder = net.createServer().listen(0, HOST);
  await once(finder, 'listening');
  const { port } = finder.address();
  await once(finder.close(), 'close');
  const nats = spawn(NATS, ['-a', HOST, '-p', String(port), '-js', '-sd', join(folder, 'nats')], {
    stdio: 'ignore',
  });
  const nodes = await Promise.all(
    ['a', 'b'].map(async (node) => {
      const file = join(folder, `${node}.yaml`);
      await writeFile(file, `cluster: { servers: ["nats://${HOST}:${port}"], node: ${node} }\n`);
      return startServer(folder, ['--config', file]);
    }),
  );
  return { nats, nodes };
}

async function serve(folder) {
  const { nats, nodes } = values.cluster
    ? await startNodes(folder)
    : { nats: undefined, nodes: [await startServer(folder, ['--workers', values.workers])] };
  const [{ ports }] = nodes;
  const url = `http://${HOST}:${ports.http}/live`;
  const source = ['--copy', '--loop', '-i', join(folder, 'film.wmv'), url, '-q'];
  const pusher = spawn(process.execPath, [bin('wmpush'), ...source], { stdio: ['ignore', 'ignore', 'inherit'] });
  await Promise.all(nodes.map(({ live }) => live));
  return { nats, servers: nodes.map(({ server }) => server), pusher, ports, other: nodes.at(-1).ports };
}

const folder = await mkdtemp(join(tmpdir(), 'wmcast-rounds-'));
await testFile(join(folder, 'film.wmv'), { seconds: 10 });
const stream = pushed(await readFile(join(folder, 'film.wmv')));
const { nats, servers, pusher, ports, other } = await serve(folder);
const kinds = {
  wmsp: () => wmsp(ports, other),
  'rtsp-tcp': (round) => rtsp(ports, other, round % 2 ? '/live' : '/film.wmv', 'tcp'),
  'rtsp-udp': (round) => rtsp(ports, other, round % 2 ? '/film.wmv' : '/live', 'udp'),
  mmsp: () => mmsp(ports, other),
  push: () => push(ports, other, stream),
};
const failures = [];
const begun = performance.now();
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [kind, play] of Object.entries(kinds)) {
    await play(round).catch((error) => failures.push(`round ${round + 1}, ${kind}: ${error.message}`));
  }
}
const seconds = Math.round((performance.now() - begun) / 1000);
const shape = values.cluster ? { nodes: 2 } : { workers: Number(values.workers) };
const result = { rounds: Number(values.rounds), ...shape, failed: failures.length, seconds };
console.log(JSON.stringify({ ...result, failures: failures.slice(0, 20) }));
pusher.kill();
for (const server of servers) server.kill();
await Promise.all(servers.map((server) => once(server, 'exit')));
nats?.kill('SIGKILL');
await rm(folder, { recursive: true });
process.exit(failures.length === 0 ? 0 : 1);
