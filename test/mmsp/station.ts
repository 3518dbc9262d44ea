import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Broadcast } from '../../src/media/broadcast.js';
import { PACKET_PAIR, splitMessages } from '../../src/mmsp/messages/base.js';
import * as client from '../../src/mmsp/messages/client.js';
import { type DataMessage, readData } from '../../src/mmsp/messages/data.js';
import { TcpPacketReader, wrapMessages } from '../../src/mmsp/messages/frame.js';
import { readServerMessage, type ServerMessage } from '../../src/mmsp/messages/server.js';
import { MmspServer, type MmspServerOptions } from '../../src/mmsp/server/server.js';
import type { Content } from '../../src/playback/content.js';
import { Entrance } from '../../src/playback/entrance.js';
import { LocalLimits } from '../../src/playback/limits.js';
import { SessionRegistry } from '../../src/playback/registry.js';
import { liveProgram } from '../../src/playback/single.js';
import { Refusal } from '../../src/refusal.js';
import { pathOf } from '../../src/server/content/paths.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { EVERYBODY } from '../wmsp/station.js';

export const SUBSCRIBER = 'NSPlayer/9.0.0.4503; {00000000-1111-2222-3333-444444444444}';

export interface StationOptions extends Partial<MmspServerOptions> {
  /** Default: one broadcast at /live. */
  readonly content?: Content;
  /** Default 127.0.0.1. */
  readonly host?: string;
}

/** An MMSP server with one broadcast at /live, which the test feeds, or with other content. */
export class Station {
  readonly broadcast = new Broadcast({ batchInterval: 0, burst: 1000 });
  readonly server: MmspServer;
  readonly errors: unknown[] = [];
  readonly played: unknown[] = [];
  readonly registry = new SessionRegistry({ onEnd: (report) => this.played.push(report) });
  port = 0;
  readonly #peers: Peer[] = [];
  #sendTime = 0;

  private constructor({ content, ...options }: StationOptions) {
    const live: Content = {
      find: async ({ path }) => {
        if (path !== '/live') return { rule: EVERYBODY, missing: new Refusal('not-found', 'There is nothing.') };
        const info = async () => ({ live: true, playlist: false });
        return { path, rule: EVERYBODY, info, open: async () => liveProgram(this.broadcast) };
      },
    };
    this.server = new MmspServer({
      entrance: new Entrance({ content: content ?? live, limits: new LocalLimits() }),
      pathOf: (name) => pathOf(`/${name.replace(/^\/+/, '')}`),
      version: '9.5.6001.18281',
      onError: (error) => this.errors.push(error),
      registry: this.registry,
      ...options,
    });
  }

  static async open({ host = '127.0.0.1', ...options }: StationOptions = {}): Promise<Station> {
    const station = new Station(options);
    station.port = await station.server.listen(0, host);
    station.header();
    return station;
  }

  header(video = true): void {
    this.broadcast.write({ type: 'header', header: testHeader({ video }) });
  }

  /** Feeds packets, 100 ms apart, the first of them with a key frame. */
  packets(count: number): void {
    for (let index = 0; index < count; index++) {
      this.broadcast.write({ type: 'packet', packet: testPacket(this.#sendTime, { key: index === 0 }) });
      this.#sendTime += 100;
    }
  }

  end(moreEntries = false): void {
    this.broadcast.write({ type: 'end', moreEntries, reason: 0 });
  }

  async connect(): Promise<Peer> {
    const peer = await Peer.connect(this.port);
    this.#peers.push(peer);
    return peer;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.server.close(50);
  }
}

/** A client that sends what a test says, and records what arrives. */
export class Peer {
  readonly socket: Socket;
  readonly messages: ServerMessage[] = [];
  readonly data: DataMessage[] = [];
  /** Messages and Data packets in order of arrival, by type. */
  readonly order: string[] = [];
  closed = false;
  udp: UdpSocket | undefined;
  readonly #reader = new TcpPacketReader({ takesData: true });
  readonly #port: number;
  #sequence = 0;
  #seen = 0;

  private constructor(socket: Socket, port: number) {
    this.socket = socket;
    this.#port = port;
    socket.on('data', (bytes) => {
      for (const packet of this.#reader.push(bytes)) {
        if (packet.type === 'data') this.#take(packet.bytes);
        else {
          for (const raw of splitMessages(packet.field)) {
            const message = readServerMessage(raw);
            this.messages.push(message);
            this.order.push(message.type);
          }
        }
      }
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.closed = true;
    });
  }

  static async connect(port: number): Promise<Peer> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new Peer(socket, port);
  }

  #take(bytes: Buffer): void {
    this.data.push(readData(bytes));
    this.order.push('data');
  }

  send(...messages: Buffer[]): void {
    for (const message of messages) this.socket.write(wrapMessages(message, this.#sequence++, 0));
  }

  /** Returns the next message of a type that was not returned before. */
  async next<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    const find = () => this.messages.findIndex((message, index) => index >= this.#seen && message.type === type);
    await until(`a ${type} message`, () => find() >= 0);
    const at = find();
    this.#seen = at + 1;
    return this.messages[at] as Extract<ServerMessage, { type: T }>;
  }

  async dataCount(count: number): Promise<DataMessage[]> {
    await until(`${count} Data packets`, () => this.data.length >= count);
    return this.data;
  }

  async ends(): Promise<void> {
    await until('the end of the connection', () => this.closed);
  }

  /** Sends a datagram from this peer's UDP port to the server. */
  datagram(bytes: Buffer): void {
    this.udp!.send(bytes, this.#port, '127.0.0.1');
  }

  /** Goes on until a file can be opened. */
  async greet(transport: 'tcp' | 'udp' = 'tcp', subscriber = SUBSCRIBER): Promise<void> {
    let port = 1037;
    if (transport === 'udp') {
      const udp = createSocket('udp4');
      this.udp = udp;
      udp.on('message', (bytes) => this.#take(bytes));
      udp.bind(0, '127.0.0.1');
      await once(udp, 'listening');
      port = udp.address().port;
    }
    this.send(client.buildConnect(PACKET_PAIR.none, subscriber));
    await this.next('connectedEx');
    this.send(client.buildFunnelInfo(PACKET_PAIR.none));
    await this.next('funnelInfo');
    this.send(client.buildConnectFunnel({ transport, address: '192.168.0.129', port }));
    await this.next('connectedFunnel');
  }

  /** Goes on until the header of a file has arrived. @returns the server's description of it */
  async open(path: string, transport: 'tcp' | 'udp' = 'tcp', subscriber = SUBSCRIBER) {
    await this.greet(transport, subscriber);
    this.send(client.buildOpenFile(9, path));
    const file = await this.next('openFile');
    this.send(client.buildReadBlock(1, 2));
    await this.next('readBlock');
    await until('the header', () => this.data.some(({ flags, incarnation }) => incarnation === 2 && flags === 0x0c));
    return file;
  }

  /** Goes on until it plays, with all streams. */
  async play(
    path: string,
    start: Partial<Parameters<typeof client.buildStartPlaying>[0]> = {},
    transport: 'tcp' | 'udp' = 'tcp',
  ) {
    const file = await this.open(path, transport);
    this.data.length = 0;
    this.order.length = 0;
    this.send(
      client.buildStreamSwitch([1, 2].map((destination) => ({ source: undefined, destination, level: 0 }))),
      client.buildStartPlaying({ openFileId: 1, incarnation: 10, position: 0, ...start }),
    );
    await this.next('startedPlaying');
    return file;
  }

  close(): void {
    this.socket.destroy();
    this.udp?.close();
    this.udp = undefined;
  }
}
