import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { Broadcast } from '../../src/media/broadcast.js';
import type { Content } from '../../src/playback/content.js';
import { Entrance, type EntranceOptions } from '../../src/playback/entrance.js';
import { SessionRegistry } from '../../src/playback/registry.js';
import { liveProgram } from '../../src/playback/single.js';
import { Refusal } from '../../src/refusal.js';
import { RtspReader, type RtspRequest, type RtspResponse } from '../../src/rtsp/messages/message.js';
import { type RtpPacket, readRtp } from '../../src/rtsp/messages/rtp.js';
import { RtspServer, type RtspServerOptions } from '../../src/rtsp/server/server.js';
import { pathOf } from '../../src/server/content/paths.js';
import { AUDIO, type TestHeaderOptions, type TestPacketOptions, testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';
import { EVERYBODY } from '../wmsp/station.js';

export interface StationOptions extends Partial<RtspServerOptions> {
  /** Default: one broadcast at /live. */
  readonly content?: Content;
  readonly access?: EntranceOptions['access'];
  readonly header?: TestHeaderOptions;
  /** Default: 127.0.0.1. */
  readonly host?: string;
  /** Of UDP; default: any pair. */
  readonly rtpPort?: number | undefined;
}

/** An RTSP server with one broadcast at /live, which the test feeds, or with other content. */
export class Station {
  readonly broadcast = new Broadcast({ batchInterval: 0, burst: 1000 });
  readonly server: RtspServer;
  readonly errors: unknown[] = [];
  readonly played: unknown[] = [];
  readonly logs: unknown[][] = [];
  readonly registry = new SessionRegistry({ onEnd: (report) => this.played.push(report) });
  /** ms; moves only where a test says so. */
  time = 0;
  port = 0;
  readonly #peers: Peer[] = [];
  #sendTime = 0;

  private constructor({ content, access, header: _, host: __, rtpPort: ___, ...options }: StationOptions) {
    const live: Content = {
      find: async ({ path }) => {
        if (path !== '/live') return { rule: EVERYBODY, missing: new Refusal('not-found', 'There is nothing.') };
        const info = async () => ({ live: true, playlist: false });
        return { path, rule: EVERYBODY, info, open: async () => liveProgram(this.broadcast) };
      },
    };
    this.server = new RtspServer({
      entrance: new Entrance({ content: content ?? live, ...(access ? { access } : {}) }),
      pathOf,
      onError: (error) => this.errors.push(error),
      onLog: (...log) => this.logs.push(log),
      registry: this.registry,
      ...options,
    });
  }

  static async open(options: StationOptions = {}): Promise<Station> {
    const station = new Station(options);
    station.port = await station.server.listen(
      0,
      options.host ?? '127.0.0.1',
      'rtpPort' in options ? options.rtpPort : 0,
    );
    station.header(options.header);
    return station;
  }

  header(options: TestHeaderOptions = {}): void {
    this.broadcast.write({ type: 'header', header: testHeader(options) });
  }

  /** Feeds packets, 100 ms apart, the first of them with a key frame. */
  packets(count: number): void {
    for (let index = 0; index < count; index++) {
      this.broadcast.write({ type: 'packet', packet: testPacket(this.#sendTime, { key: index === 0 }) });
      this.#sendTime += 100;
    }
  }

  /** Feeds a packet of sound. */
  sound(options: TestPacketOptions = { stream: AUDIO }): void {
    this.broadcast.write({ type: 'packet', packet: testPacket(this.#sendTime, options) });
    this.#sendTime += 100;
  }

  end(moreEntries = false): void {
    this.broadcast.write({ type: 'end', moreEntries, reason: 0 });
  }

  async connect(from?: string): Promise<Peer> {
    const peer = await Peer.connect(this.port, from);
    this.#peers.push(peer);
    return peer;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.server.close(50);
  }
}

export type Fields = Readonly<Record<string, string>>;

/** A client that sends what a test says, and keeps what comes. */
export class Peer {
  readonly socket: Socket;
  readonly responses: RtspResponse[] = [];
  readonly requests: RtspRequest[] = [];
  readonly rtp: RtpPacket[] = [];
  readonly channels = new Set<number>();
  /** Statuses, methods and `rtp` in the order in which they came. */
  readonly order: string[] = [];
  closed = false;
  session: string | undefined;
  udp: UdpSocket | undefined;
  readonly #reader = new RtspReader({ maxBody: 4 * 1024 * 1024 });
  readonly #port: number;
  #sequence = 0;
  #seen = 0;
  #seenRequests = 0;

  private constructor(socket: Socket, port: number) {
    this.socket = socket;
    this.#port = port;
    socket.on('data', (bytes) => {
      for (const input of this.#reader.push(bytes)) {
        if (input.type === 'frame') {
          this.rtp.push(readRtp(input.bytes));
          this.channels.add(input.channel);
          this.order.push('rtp');
        } else if (input.type === 'response') {
          this.responses.push(input);
          this.order.push(`${input.status}`);
        } else {
          this.requests.push(input);
          this.order.push(input.method);
        }
      }
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.closed = true;
    });
  }

  /** @param from another address of this host */
  static async connect(port: number, from = '127.0.0.1'): Promise<Peer> {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from });
    await once(socket, 'connect');
    return new Peer(socket, port);
  }

  url(path: string): string {
    return `rtsp://127.0.0.1:${this.#port}${path}`;
  }

  /** Sends a request without waiting for its response. @param path or a whole URL */
  send(method: string, path: string, fields: Fields = {}, body = ''): void {
    const url = path.startsWith('/') ? this.url(path) : path;
    const all = {
      CSeq: `${++this.#sequence}`,
      ...(this.session === undefined ? {} : { Session: this.session }),
      ...(body === '' ? {} : { 'Content-Length': `${body.length}` }),
      ...fields,
    };
    const head = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
    this.socket.write(`${method} ${url} RTSP/1.0\r\n${head.join('')}\r\n${body}`);
  }

  /** The next response. */
  async response(): Promise<RtspResponse> {
    return until(`response ${this.#seen + 1}`, () => this.responses[this.#seen]).then((response) => {
      this.#seen++;
      return response;
    });
  }

  async ask(method: string, path: string, fields: Fields = {}, body = ''): Promise<RtspResponse> {
    this.send(method, path, fields, body);
    return this.response();
  }

  /** The next request of the server, which is answered. */
  async request(method: string, status = '200 OK'): Promise<RtspRequest> {
    const request = await until(`a ${method} of the server`, () => this.requests[this.#seenRequests]);
    this.#seenRequests++;
    expect(request.method).toBe(method);
    this.socket.write(`RTSP/1.0 ${status}\r\nCSeq: ${request.headers.get('CSeq')}\r\n\r\n`);
    return request;
  }

  /** SETUP of a stream, interleaved. */
  async setUp(path: string, channels = '0-1', fields: Fields = {}): Promise<RtspResponse> {
    const transport = `RTP/AVP/TCP;unicast;interleaved=${channels};mode=play`;
    const response = await this.ask('SETUP', path, { Transport: transport, ...fields });
    this.session ??= response.headers.get('Session')?.split(';')[0];
    return response;
  }

  /** To where it plays over TCP, with both streams. @returns the response to PLAY */
  async play(path: string, fields: Fields = { Range: 'npt=0.000-' }, features: Fields = {}): Promise<RtspResponse> {
    await this.setUp(`${path}/audio`, '0-1', features);
    await this.setUp(`${path}/video`, '2-3', features);
    return this.ask('PLAY', `${path}/`, fields);
  }

  /** Opens a UDP port, whose datagrams count as RTP. @returns the port */
  async openUdp(from = '127.0.0.1'): Promise<number> {
    const udp = createSocket('udp4');
    this.udp = udp;
    udp.on('message', (bytes) => this.rtp.push(readRtp(bytes)));
    udp.bind(0, from);
    await once(udp, 'listening');
    return udp.address().port;
  }

  /** To where it plays by UDP. @returns the transports of rtx and of the first stream */
  async playUdp(path: string, fields: Fields = { Range: 'npt=0.000-' }): Promise<string[]> {
    const port = await this.openUdp();
    const told: string[] = [];
    for (const [control, ports] of [
      ['rtx', `${port}-${port}`],
      ['audio', `${port}`],
      ['video', `${port}`],
    ]) {
      const transport = `RTP/AVP/UDP;unicast;client_port=${ports};mode=PLAY`;
      const response = await this.ask('SETUP', `${path}/${control}`, { Transport: transport });
      this.session ??= response.headers.get('Session')?.split(';')[0];
      told.push(response.headers.get('Transport')!);
    }
    await this.ask('PLAY', `${path}/`, fields);
    return told;
  }

  async packets(count: number): Promise<RtpPacket[]> {
    await until(`${count} RTP packets`, () => this.rtp.length >= count);
    return this.rtp;
  }

  async ends(): Promise<void> {
    await until('the end of the connection', () => this.closed);
  }

  close(): void {
    this.socket.destroy();
    this.udp?.close();
    this.udp = undefined;
  }
}
