import type { AddressInfo } from 'node:net';
import { createServer, type Server, type Socket } from 'node:net';
import { Broadcast } from '../../src/media/broadcast.js';
import type { AsfEvent } from '../../src/media/events.js';
import { MsbdClient, type MsbdClientOptions } from '../../src/msbd/client/client.js';
import type { MsbdServerOptions } from '../../src/msbd/server/options.js';
import { MsbdServer } from '../../src/msbd/server/server.js';
import { type TestHeaderOptions, type TestPacketOptions, testHeader, testPacket } from '../support/stream.js';
import { RawPeer } from '../support/wire.js';

/** A packet of MSBD, parsed without any code of the program. */
export interface WireMessage {
  readonly id: number;
  readonly size: number;
  readonly hr: number;
  readonly bytes: Buffer;
}

/** Returns all whole packets at the start of `bytes`; throws if something is not a packet. */
export function wireMessages(bytes: Buffer): WireMessage[] {
  const messages: WireMessage[] = [];
  for (let at = 0; at + 16 <= bytes.length; ) {
    if (bytes.toString('latin1', at, at + 4) !== 'MSB ' || bytes.readUInt16LE(at + 4) !== 0x0106) {
      throw new Error(`No packet at ${at}: ${bytes.toString('hex', at, at + 16)}`);
    }
    const size = bytes.readUInt32LE(at + 8);
    if (at + size > bytes.length) break;
    messages.push({
      id: bytes.readUInt16LE(at + 6),
      size,
      hr: bytes.readUInt32LE(at + 12),
      bytes: bytes.subarray(at, at + size),
    });
    at += size;
  }
  return messages;
}

/**
 * The letters of a conversation: S for IND_STREAMINFO, s for RES_STREAMINFO, C RES_CONNECT, P IND_PACKET, E IND_EOS, ?
 * REQ_PING.
 */
export function shape(bytes: Buffer): string {
  const letters: Record<number, string> = { 1: '?', 4: 's', 5: 'S', 8: 'C', 9: 'E', 10: 'P' };
  return wireMessages(bytes)
    .map(({ id }) => letters[id] ?? `<${id}>`)
    .join('');
}

/** Builds a packet of any kind with any body. */
export function wire(id: number, body: Buffer = Buffer.alloc(0), hr = 0): Buffer {
  const bytes = Buffer.alloc(16 + body.length);
  bytes.write('MSB ', 0, 'latin1');
  bytes.writeUInt16LE(0x0106, 4);
  bytes.writeUInt16LE(id, 6);
  bytes.writeUInt32LE(bytes.length, 8);
  bytes.writeUInt32LE(hr, 12);
  body.copy(bytes, 16);
  return bytes;
}

export function connectRequest(flags = 1, channel = 'NetShow'): Buffer {
  const text = Buffer.from(channel, 'utf16le');
  const body = Buffer.alloc(4 + text.length);
  body.writeUInt32LE(flags);
  text.copy(body, 4);
  return wire(7, body);
}

export function connectResponse(hr = 0, group?: { address: string; port: number }): Buffer {
  const body = Buffer.alloc(20);
  if (group) {
    body.writeUInt16LE(2, 4);
    body.writeUInt16BE(group.port, 6);
    body.set(group.address.split('.').map(Number), 8);
  }
  return wire(8, body, hr);
}

export function streamInfo(streamId: number, header: TestHeaderOptions = {}, id = 5): Buffer {
  const { bytes } = testHeader(header);
  const body = Buffer.alloc(32 + bytes.length);
  body.writeUInt16LE(streamId, 0);
  body.writeUInt16LE(400, 2);
  body.writeUInt32LE(364_000, 8);
  body.writeUInt32LE(0xffffffff, 12);
  body.writeUInt32LE(bytes.length, 28);
  bytes.copy(body, 32);
  return wire(id, body);
}

/** The "empty" one, with whatever Windows leaves in its fields. */
export function emptyStreamInfo(garbage = 0): Buffer {
  return wire(5, Buffer.alloc(32, garbage), 0xc00d0033);
}

export function indPacket(packetId: number, streamId: number, payload: Buffer): Buffer {
  const body = Buffer.alloc(8 + payload.length);
  body.writeUInt32LE(packetId, 0);
  body.writeUInt16LE(streamId, 4);
  body.writeUInt16LE(8 + payload.length, 6);
  payload.copy(body, 8);
  return wire(10, body);
}

export const END = Buffer.concat([wire(9), emptyStreamInfo()]);

/** A server with one broadcast, whatever the channel, fed by the test, and raw clients of it. */
export class Station {
  readonly broadcast = new Broadcast({ batchInterval: 0, burst: 1000 });
  readonly server: MsbdServer;
  readonly errors: unknown[] = [];
  port = 0;
  /** The server's clock, in ms. */
  now = 1_000_000;
  readonly #peers: RawPeer[] = [];
  #sendTime = 0;

  private constructor(options: Partial<MsbdServerOptions>) {
    this.server = new MsbdServer({
      content: { open: async (channel) => (channel === 'nothing' ? undefined : this.broadcast) },
      now: () => this.now,
      onError: (error) => this.errors.push(error),
      ...options,
    });
  }

  static async open(options: Partial<MsbdServerOptions> = {}, header?: TestHeaderOptions | null): Promise<Station> {
    const station = new Station(options);
    if (header !== null) station.header(header);
    station.port = await station.server.listen(0, '127.0.0.1');
    return station;
  }

  header(options: TestHeaderOptions = {}): void {
    this.broadcast.write({ type: 'header', header: testHeader(options) });
  }

  /** Feeds packets, 100 ms apart; all are key frames by default. @returns them */
  feed(count = 1, options: TestPacketOptions = {}): Buffer[] {
    return Array.from({ length: count }, () => {
      const packet = testPacket(this.#sendTime, { key: true, ...options });
      this.#sendTime += 100;
      this.broadcast.write({ type: 'packet', packet });
      return packet.bytes;
    });
  }

  end(): void {
    this.broadcast.write({ type: 'end', moreEntries: false, reason: 0 });
  }

  /** Moves the clock, and lets the server check its timers. */
  tick(milliseconds: number): void {
    this.now += milliseconds;
    this.server.sweep();
  }

  async peer(): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.port);
    this.#peers.push(peer);
    return peer;
  }

  /** Returns a client that has received the description of the stream. */
  async player(flags = 1, channel?: string): Promise<RawPeer> {
    const peer = await this.peer();
    peer.send(connectRequest(flags, channel));
    await untilShape(peer, /^CS/);
    return peer;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.broadcast.close();
    await this.server.close();
    if (this.errors.length > 0) throw this.errors[0];
  }
}

/** Waits until the received packets have that shape. @returns them */
export function untilShape(peer: RawPeer, pattern: RegExp): Promise<WireMessage[]> {
  return peer.until((bytes) => (pattern.test(shape(bytes)) ? wireMessages(bytes) : undefined));
}

/** Handles a scripted server's connection; `count` is 1 for the first. */
export type Script = (socket: Socket, count: number) => void;

/** A server that sends exactly what the test says, once it has received a REQ_CONNECT. */
export class ScriptedServer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The bytes that each connection sent. */
  readonly received: Buffer[] = [];

  private constructor(script: Script) {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      const index = this.received.push(Buffer.alloc(0)) - 1;
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        const before = this.received[index]!;
        this.received[index] = Buffer.concat([before, chunk]);
        if (before.length < 16 && this.received[index]!.length >= 16) script(socket, index + 1);
      });
    });
  }

  static async listen(script: Script): Promise<ScriptedServer> {
    const server = new ScriptedServer(script);
    await new Promise<void>((resolve) => server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  url(path = ''): string {
    return `msbd://127.0.0.1:${this.port}${path}`;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** Reads from a client to its end. */
export async function receive(
  options: MsbdClientOptions,
  observe: (event: AsfEvent, client: MsbdClient) => void = () => {},
): Promise<{ client: MsbdClient; events: AsfEvent[]; payloads: Buffer[]; error: unknown }> {
  const client = new MsbdClient(options);
  const events: AsfEvent[] = [];
  let error: unknown;
  try {
    for await (const event of client) {
      events.push(event);
      observe(event, client);
    }
  } catch (thrown) {
    error = thrown;
  }
  const payloads = events.flatMap((event) => (event.type === 'packet' ? [event.packet.bytes] : []));
  return { client, events, payloads, error };
}

/** Returns packets that are key frames, 100 ms apart. */
export function media(count: number, from = 0): Buffer[] {
  return Array.from({ length: count }, (_, index) => testPacket((from + index) * 100, { key: true }).bytes);
}
