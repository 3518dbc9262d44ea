import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import type { ServerEvents } from '../../src/server/events.js';
import type { StartOptions } from '../../src/server/reloader.js';
import { MediaServer } from '../../src/server/server.js';
import { type TestHeaderOptions, testHeader, testPacket } from '../support/stream.js';
import { parseResponse, parseWholeResponse, RawPeer, type WireResponse } from '../support/wire.js';

export const ENCODER = 'User-Agent: WMEncoder/12.0.7601.17514';

/** A whole server on a free port, with raw peers that push and play. */
export class ServerStation {
  readonly server: MediaServer;
  readonly errors: unknown[];
  #peers: RawPeer[] = [];

  private constructor(server: MediaServer, errors: unknown[]) {
    this.server = server;
    this.errors = errors;
  }

  static async open(
    config: Partial<ServerConfig> = {},
    listener: ServerEvents = {},
    options: StartOptions = {},
  ): Promise<ServerStation> {
    const errors: unknown[] = [];
    const complete = { ...defaultConfig(), host: '127.0.0.1', httpPort: 0, ...config };
    const server = await MediaServer.start(complete, { error: (error) => errors.push(error), ...listener }, options);
    return new ServerStation(server, errors);
  }

  get port(): number {
    return this.server.ports.http!;
  }

  async peer(): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.port);
    this.#peers.push(peer);
    return peer;
  }

  async ask(...lines: string[]): Promise<WireResponse> {
    const peer = await this.peer();
    peer.request(...lines);
    return peer.until((bytes) => (lines[0]!.startsWith('HEAD') ? parseResponse(bytes) : parseWholeResponse(bytes)));
  }

  /** Sends a PushSetup request and returns the response. */
  async setUp(path: string, { body = '', more = [], id = '0', peer }: TestSetup = {}): Promise<Setup> {
    const connection = peer ?? (await this.peer());
    connection.clear();
    connection.request(
      `POST ${path} HTTP/1.1`,
      ...(more.some((line) => line.startsWith('Host:')) ? [] : ['Host: 127.0.0.1']),
      ENCODER,
      'Content-Type: application/x-wms-pushsetup',
      `Cookie: push-id=${id}`,
      `Content-Length: ${body.length}`,
      ...more,
    );
    connection.send(body);
    return { peer: connection, response: await connection.until(parseWholeResponse) };
  }

  /** An encoder that has set up a push to `path` and begun it with a header. */
  async push(path: string, header: TestHeaderOptions = {}, setup: TestSetup = {}): Promise<TestEncoder> {
    const { peer, response } = await this.setUp(path, setup);
    const encoder = new TestEncoder(peer, response);
    if (response.status === 204) encoder.start(path, header);
    return encoder;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.server.close();
    if (this.errors.length > 0) throw this.errors[0];
  }
}

export interface TestSetup {
  readonly body?: string;
  /** Additional lines of the head. */
  readonly more?: readonly string[];
  /** One push-id, or several as in a Cookie field. */
  readonly id?: string;
  /** The connection; default: a new one. */
  readonly peer?: RawPeer;
}

export interface Setup {
  readonly peer: RawPeer;
  readonly response: WireResponse;
}

/** A scripted encoder in the middle of a PushStart. */
export class TestEncoder {
  readonly peer: RawPeer;
  readonly setupStatus: number;
  /** The push-id of its session. */
  readonly id: string;
  #sendTime = 0;

  constructor(peer: RawPeer, setup: WireResponse) {
    this.peer = peer;
    this.setupStatus = setup.status;
    this.id = /push-id=(\w+)/.exec(setup.field('Set-Cookie') ?? '')?.[1] ?? '';
  }

  /** Sends the head of a PushStart request, and a header. */
  start(path: string, header: TestHeaderOptions = {}): void {
    this.peer.clear();
    this.peer.request(
      `POST ${path} HTTP/1.1`,
      'Host: 127.0.0.1',
      ENCODER,
      'Content-Type: application/x-wms-pushstart',
      `Cookie: push-id=${this.id}`,
      'Content-Length: 2147483647',
    );
    this.send('H', testHeader(header).bytes);
  }

  /** A packet in the framing of MS-WMHTTP: 0x24, id, length. */
  send(id: string, payload: Buffer): void {
    const head = Buffer.from([0x24, id.charCodeAt(0), payload.length & 255, payload.length >> 8]);
    this.peer.send(Buffer.concat([head, payload]));
  }

  key(): void {
    this.send('D', testPacket(this.#sendTime, { key: true }).bytes);
    this.#sendTime += 100;
  }

  end(reason = 0): void {
    const payload = Buffer.alloc(4);
    payload.writeUInt32LE(reason);
    this.send('E', payload);
  }
}
