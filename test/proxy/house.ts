import { mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Transform } from 'node:stream';
import { parsePacket } from '../../src/asf/packet.js';
import { restorePadding } from '../../src/asf/padding.js';
import { parseConfig } from '../../src/server/config-file.js';
import { WmspClient, type WmspClientOptions } from '../../src/wmsp/client/client.js';
import { ServerStation } from '../server/station.js';
import { type MadeMedia, madeFile } from '../wmsp/content.js';

/** A TCP connection in between that writes down what is asked. */
export class Tap {
  /** A line for each request: its type, and what matters of it. */
  readonly requests: string[] = [];
  /** The heads of all requests. */
  readonly heads: string[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  port = 0;
  /** Connections so far. */
  connections = 0;
  /** Delays every request until it resolves. */
  hold: Promise<void> | undefined;
  /** True to refuse connections. */
  down = false;
  /** The Cache-Control of every answer, in place of the server's. */
  cacheControl: string | undefined;
  /** Gets the body of each event. */
  onBody: (body: string) => void = () => {};
  /** Changes what the server sends, piece by piece. */
  change: (piece: Buffer) => Buffer = (piece) => piece;

  constructor(to: () => number) {
    this.#server = createServer((socket) => {
      if (this.down) {
        socket.destroy();
        return;
      }
      this.connections++;
      const target = connect({ port: to(), host: '127.0.0.1' });
      for (const [one, other] of [
        [socket, target],
        [target, socket],
      ] as const) {
        this.#sockets.add(one);
        one.on('error', () => other.destroy());
        one.on('close', () => {
          this.#sockets.delete(one);
          other.destroy();
        });
        if (one === socket) one.pipe(this.#gate()).pipe(other);
      }
      target.on('data', (piece: Buffer) => {
        if (!socket.write(this.#changed(piece))) target.pause();
      });
      socket.on('drain', () => target.resume());
      target.on('end', () => socket.end());
      socket.on('data', (chunk: Buffer) => {
        const event = /sendevent.*?\r\n\r\n(.+)$/is.exec(chunk.toString('utf8'))?.[1];
        if (event !== undefined) this.onBody(event);
        for (const head of chunk.toString('latin1').split('\r\n\r\n')) {
          if (!/^(?:GET|POST|HEAD|OPTIONS) /.test(head)) continue;
          this.heads.push(head);
          this.requests.push(kindOf(head));
        }
      });
    });
  }

  /** Passes on what comes, once it may. */
  #gate(): Transform {
    return new Transform({
      transform: (piece, _, done) => {
        void Promise.resolve(this.hold).then(() => done(null, piece));
      },
    });
  }

  #changed(piece: Buffer): Buffer {
    const text = piece.toString('latin1', 0, 5).startsWith('HTTP/') ? piece.toString('latin1') : undefined;
    if (text === undefined || this.cacheControl === undefined) return this.change(piece);
    const changed = text.replace(/\r\nCache-Control: [^\r]*/i, `\r\nCache-Control: ${this.cacheControl}`);
    return this.change(Buffer.from(changed, 'latin1'));
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    const address = this.#server.address();
    if (address && typeof address === 'object') this.port = address.port;
    return this;
  }

  /** Returns how many requests there were of each kind, without a kind that does not matter. */
  count(kind: string): number {
    return this.requests.filter((each) => each === kind).length;
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}

function kindOf(head: string): string {
  if (/getcontentinfo/i.test(head)) return 'info';
  if (/sendevent/i.test(head)) return 'event';
  if (/logstats|log-line/i.test(head)) return 'log';
  if (/xPlayStrm=1/.test(head)) return 'play';
  if (/\r\nRange: /i.test(head)) return 'range';
  if (/^OPTIONS|xKeepAlive/.test(head)) return 'keepalive';
  return 'describe';
}

const open: Array<{ close(): Promise<void> }> = [];

/** Closes everything that tests have opened, the newest first. */
export async function closeAll(): Promise<void> {
  for (const each of open.splice(0).reverse()) await each.close();
}

export async function folder(): Promise<string> {
  const path = await realpath(await mkdtemp(join(tmpdir(), 'wmcast-proxy-')));
  open.push({ close: () => rm(path, { recursive: true, force: true }) });
  return path;
}

/** A server with this configuration on free ports of the loopback, whose warnings are kept. */
export async function server(config: string): Promise<ServerStation & { readonly warnings: string[] }> {
  const warnings: string[] = [];
  const parsed = parseConfig(config, 'serve.yaml');
  const made = await ServerStation.open(
    { ...parsed, host: '127.0.0.1', httpPort: 0 },
    { warning: (message) => warnings.push(message) },
  );
  let closed: Promise<void> | undefined;
  const close = made.close.bind(made);
  const station = Object.assign(made, { warnings, close: () => (closed ??= close()) });
  open.push(station);
  return station;
}

/** An origin with files, and a tap on the way to it. */
export async function origin(files: Readonly<Record<string, MadeMedia>>, more = '') {
  const path = await folder();
  const media = new Map<string, Buffer>();
  for (const [name, options] of Object.entries(files)) {
    media.set(name, madeFile(options));
    await writeFile(join(path, name), media.get(name)!);
  }
  const station = await server(`content: { folder: ${path} }\n${more}`);
  const tap = await new Tap(() => station.port).listen();
  open.push(tap);
  return { station, tap, media, path };
}

/** A proxy for a server. */
export async function reverse(port: number, { cache, more = '' }: { cache?: string; more?: string } = {}) {
  const stored = cache === undefined ? '' : `, cache: { folder: ${cache}, maxSize: 100 }`;
  return server(`proxy: { origin: 'http://127.0.0.1:${port}'${stored}${more} }`);
}

/** Receives content, and returns its header and its packets, with their padding. */
export async function received(url: string, options: Partial<WmspClientOptions> = {}) {
  const client = new WmspClient({ url, speed: 1_000, log: false, ...options });
  const packets: Buffer[] = [];
  let header: Buffer = Buffer.alloc(0);
  let size = 0;
  for await (const event of client) {
    if (event.type === 'header') [header, size] = [event.header.bytes, event.header.packetSize];
    if (event.type === 'packet') packets.push(restorePadding(parsePacket(event.packet.bytes), size));
  }
  return { header, packets, description: client.description! };
}
