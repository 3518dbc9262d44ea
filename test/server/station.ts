import { defaultConfig, type ServerConfig } from '../../src/server/config.js';
import { MediaServer, type ServerListener } from '../../src/server/server.js';
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

  static async open(config: Partial<ServerConfig> = {}, listener: ServerListener = {}): Promise<ServerStation> {
    const errors: unknown[] = [];
    const complete = { ...defaultConfig(), host: '127.0.0.1', httpPort: 0, ...config };
    const server = await MediaServer.start(complete, { error: (error) => errors.push(error), ...listener });
    return new ServerStation(server, errors);
  }

  get port(): number {
    return this.server.ports.http;
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

  /** An encoder that has set up a push to `path` and begun it with a header. */
  async push(path: string, header: TestHeaderOptions = {}): Promise<TestEncoder> {
    const peer = await this.peer();
    peer.request(
      `POST ${path} HTTP/1.1`,
      ENCODER,
      'Content-Type: application/x-wms-pushsetup',
      'Cookie: push-id=0',
      'Content-Length: 0',
    );
    const setup = await peer.until(parseWholeResponse);
    const cookie = setup.field('Set-Cookie');
    const encoder = new TestEncoder(peer, setup.status);
    if (setup.status !== 204) return encoder;
    peer.clear();
    peer.request(
      `POST ${path} HTTP/1.1`,
      ENCODER,
      'Content-Type: application/x-wms-pushstart',
      `Cookie: ${cookie}`,
      'Content-Length: 2147483647',
    );
    encoder.send('H', testHeader(header).bytes);
    return encoder;
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.server.close();
    if (this.errors.length > 0) throw this.errors[0];
  }
}

/** A scripted encoder in the middle of a PushStart. */
export class TestEncoder {
  readonly peer: RawPeer;
  readonly setupStatus: number;
  #sendTime = 0;

  constructor(peer: RawPeer, setupStatus: number) {
    this.peer = peer;
    this.setupStatus = setupStatus;
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
