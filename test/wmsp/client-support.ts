import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { withFileProperties } from '../../src/asf/edit.js';
import { type AsfHeader, buildHeader } from '../../src/asf/header.js';
import type { AsfEvent } from '../../src/media/events.js';
import { WmspClient } from '../../src/wmsp/client/client.js';
import type { WmspClientOptions } from '../../src/wmsp/client/options.js';
import { type TestHeaderOptions, testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

/** A request as a scripted server received it. */
export interface SeenRequest {
  /** The number of the connection, from 0. */
  readonly connection: number;
  /** All of its bytes. */
  readonly text: string;
  /** `GET /x HTTP/1.0` */
  readonly line: string;
  /** Name and value, in order. */
  readonly fields: ReadonlyArray<readonly [name: string, value: string]>;
  readonly body: string;
  /** All tokens of the Pragma fields, with stream-switch-entry and log-line as one token each. */
  readonly pragma: readonly string[];
  field(name: string): string | undefined;
  /** The type according to its tokens (MS-WMSP 2.2.2). */
  readonly type: string;
}

/** Parses a request without any code of the program. */
function see(connection: number, head: string, body: string): SeenRequest {
  const [line = '', ...lines] = head.split('\r\n').filter((each) => each !== '');
  const fields = lines.map((each) => {
    const colon = each.indexOf(': ');
    return [each.slice(0, colon), each.slice(colon + 2)] as const;
  });
  const pragma = fields
    .filter(([name]) => name === 'Pragma')
    .flatMap(([, value]) => (/^(?:stream-switch-entry|log-line)=/.test(value) ? [value] : value.split(/, ?/)));
  const has = (token: string) => pragma.some((each) => each === token || each.startsWith(`${token}=`));
  const field = (name: string) => fields.find(([other]) => other === name)?.[1];
  let type = 'Describe';
  if (line.startsWith('OPTIONS')) type = 'KeepAlive';
  else if (has('pipeline-request')) type = 'Pipeline';
  else if (has('xPlayNextEntry')) type = 'PlayNextEntry';
  else if (has('xPlayStrm')) type = 'Play';
  else if (has('xStopStrm')) type = 'Stop';
  else if (has('xKeepAliveInPause')) type = 'KeepAlive';
  else if (has('stream-switch-entry')) type = 'SelectStream';
  else if (has('log-line') || field('Content-Type')?.includes('LogStats')) type = 'Log';
  else if (field('Content-Type') === 'application/x-wms-sendevent') type = 'SendEvent';
  return { connection, text: head + body, line, fields, body, pragma, field, type };
}

/** The actions of a script on a connection. */
export class Reply {
  readonly socket: Socket;

  constructor(socket: Socket) {
    this.socket = socket;
  }

  send(...parts: ReadonlyArray<string | Buffer>): this {
    const bytes = parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'latin1') : part));
    if (!this.socket.destroyed) this.socket.write(Buffer.concat(bytes));
    return this;
  }

  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }
}

export type Script = (request: SeenRequest, reply: Reply) => void;

/** A server on a free loopback port that answers each request as the test says. */
export class ScriptedServer {
  readonly port: number;
  readonly requests: SeenRequest[] = [];
  connections = 0;
  /** The errors that the script threw. */
  readonly errors: unknown[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(server: Server) {
    this.#server = server;
    const address = server.address();
    this.port = typeof address === 'object' && address !== null ? address.port : 0;
  }

  static async listen(script: Script): Promise<ScriptedServer> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const scripted = new ScriptedServer(server);
    server.on('connection', (socket) => scripted.#serve(socket, script));
    return scripted;
  }

  url(path = '/x'): string {
    return `http://127.0.0.1:${this.port}${path}`;
  }

  /** Returns the requests of one type so far. */
  of(type: string): SeenRequest[] {
    return this.requests.filter((request) => request.type === type);
  }

  /** Waits for the nth request of a type, counted from 1. */
  async request(type: string, count = 1): Promise<SeenRequest> {
    return until(`request ${count} of type ${type}`, () => this.of(type)[count - 1]);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
    if (this.errors.length > 0) throw this.errors[0];
  }

  #serve(socket: Socket, script: Script): void {
    const connection = this.connections++;
    this.#sockets.add(socket);
    let unread = '';
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1');
      for (let end = unread.indexOf('\r\n\r\n'); end !== -1; end = unread.indexOf('\r\n\r\n')) {
        const head = unread.slice(0, end + 4);
        const length = Number(/^Content-Length: (\d+)/im.exec(head)?.[1] ?? 0);
        if (unread.length < head.length + length) return;
        const request = see(connection, head, unread.slice(head.length, head.length + length));
        unread = unread.slice(head.length + length);
        this.requests.push(request);
        try {
          script(request, new Reply(socket));
        } catch (error) {
          this.errors.push(error);
        }
      }
    });
  }
}

/** Builds a response head: a status line and fields. */
export function head(...lines: string[]): string {
  return `${lines.join('\r\n')}\r\n\r\n`;
}

export const COUGAR = 'Server: Cougar/9.6.7600.16385';
export const CLIENT_ID = 'Pragma: no-cache, client-id=123, features="seekable", timeout=60000';

function frame(id: string, ...parts: Buffer[]): Buffer {
  const rest = Buffer.concat(parts);
  const start = Buffer.from([0x24, id.charCodeAt(0), rest.length & 255, rest.length >> 8]);
  return Buffer.concat([start, rest]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value >>> 0);
  return bytes;
}

function mms(id: string, location: number, afFlags: number, payload: Buffer): Buffer {
  const size = payload.length + 8;
  return frame(id, uint32(location), Buffer.from([0, afFlags, size & 255, size >> 8]), payload);
}

/** Packets written by hand, as MS-WMSP 2.2.3 draws them. */
export const packets = {
  C: (reason = 0) => frame('C', uint32(reason)),
  D: (location: number, payload: Buffer, afFlags = location & 255) => mms('D', location, afFlags, payload),
  E: (reason = 0) => frame('E', uint32(reason)),
  H: (header: Buffer, afFlags = 0x0c, location = 0) => mms('H', location, afFlags, header),
  M: (text: string, afFlags = 0x0c, location = 0) => mms('M', location, afFlags, Buffer.from(text, 'utf8')),
  T: () => frame('T'),
  /** The nth of three, for a response head of that many bytes. */
  P: (n: 0 | 1 | 2, headSize: number) => {
    const reason = Math.min(504, headSize);
    const length = n === 2 ? 1048 : 504;
    const payload = [504 - reason, 504, 1048 + reason][n]!;
    return Buffer.concat([
      Buffer.from([0x24, 0x50, length & 255, length >> 8]),
      uint32(reason),
      Buffer.alloc(payload, 0x5a),
    ]);
  },
};

/** A live header, and that of a file with that many packets. */
export const LIVE_HEADER = testHeader();

export function fileHeader(packetCount: number, options: TestHeaderOptions = {}): AsfHeader {
  const { objects, fileProperties, fileId } = testHeader(options);
  const changes = { flags: 2, dataPacketsCount: BigInt(packetCount), playDuration: 30_000_000n };
  const size = BigInt(50 + packetCount * fileProperties.maximumPacketSize);
  return buildHeader(withFileProperties(objects, fileProperties, changes), {
    fileId,
    size,
    packetCount: BigInt(packetCount),
  });
}

export const HEADER = fileHeader(20);
export const METADATA = 'playlist-gen-id=7, broadcast-id=0, features="seekable"\0';

/** Makes that many data packets, 100 ms apart, every tenth with a key frame. */
export function media(count: number, from = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    return testPacket(number * 100, { key: number % 10 === 0, number }).bytes;
  });
}

/** The same as $D packets. */
export function dataPackets(bytes: readonly Buffer[], from = 0): Buffer {
  return Buffer.concat(bytes.map((each, index) => packets.D(from + index, each)));
}

/** A chunk of the chunked coding. */
export function chunk(...parts: Buffer[]): Buffer {
  const bytes = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(`${bytes.length.toString(16)}\r\n`), bytes, Buffer.from('\r\n')]);
}

export const LAST_CHUNK = '0\r\n\r\n';

/** A Describe response with a Content-Length. */
export function described(body: Buffer, ...lines: string[]): Buffer {
  const fields = ['Content-Type: application/vnd.ms.wms-hdr.asfv1', `Content-Length: ${body.length}`, ...lines];
  return Buffer.concat([Buffer.from(head('HTTP/1.0 200 OK', ...fields)), body]);
}

/** The head of a Play response. */
export function playing(...lines: string[]): string {
  return head('HTTP/1.0 200 OK', 'Content-Type: application/x-mms-framed', ...lines);
}

/** $M and $H, as servers from 9.0 begin. */
export const ENTRY = Buffer.concat([packets.M(METADATA), packets.H(HEADER.bytes)]);

/** Answers the requests of a plain session; other types get 200. */
export function ordinary(play: (reply: Reply, request: SeenRequest) => void): Script {
  return (request, reply) => {
    if (request.type === 'Describe') {
      reply.send(described(ENTRY, COUGAR, CLIENT_ID)).end();
    } else if (request.type === 'Play') play(reply, request);
    else reply.send(head('HTTP/1.0 200 OK', COUGAR, 'Content-Length: 0')).end();
  };
}

/** Short waits, so that a fault ends a test soon. */
export const QUICK: Partial<WmspClientOptions> = {
  timeouts: { connect: 10_000, answer: 10_000, data: 10_000, side: 5_000 },
};

export interface Received {
  readonly client: WmspClient;
  readonly events: AsfEvent[];
  /** The error that the iteration threw. */
  readonly error: unknown;
  /** The sequence of events: `H`, `E1` and `E0`, and the number of packets between them. */
  readonly shape: string;
  readonly packets: Buffer[];
}

/** Receives everything. */
export async function receive(
  options: WmspClientOptions,
  onEvent: (event: AsfEvent, client: WmspClient) => void = () => {},
): Promise<Received> {
  const client = new WmspClient({ ...QUICK, ...options });
  const events: AsfEvent[] = [];
  let error: unknown;
  try {
    for await (const event of client) {
      events.push(event);
      onEvent(event, client);
    }
  } catch (thrown) {
    error = thrown;
  }
  return {
    client,
    events,
    error,
    shape: shapeOf(events),
    packets: events.flatMap((event) => (event.type === 'packet' ? [event.packet.bytes] : [])),
  };
}

export function shapeOf(events: readonly AsfEvent[]): string {
  const parts: string[] = [];
  let count = 0;
  const flush = () => {
    if (count > 0) parts.push(String(count));
    count = 0;
  };
  for (const event of events) {
    if (event.type === 'packet') count++;
    else {
      flush();
      parts.push(event.type === 'header' ? 'H' : `E${event.moreEntries ? 1 : 0}`);
    }
  }
  flush();
  return parts.join(' ');
}
