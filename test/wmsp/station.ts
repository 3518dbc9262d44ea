import { ruleOf } from '../../src/auth/access.js';
import { HttpServer } from '../../src/http/server.js';
import { Broadcast } from '../../src/media/broadcast.js';
import { Ticker } from '../../src/media/on-demand/flow.js';
import type { Content } from '../../src/playback/content.js';
import { Entrance } from '../../src/playback/entrance.js';
import { LocalLimits } from '../../src/playback/limits.js';
import { liveProgram } from '../../src/playback/single.js';
import { Refusal } from '../../src/refusal.js';
import { pathOf } from '../../src/server/content/paths.js';
import { WmspServer, type WmspServerOptions } from '../../src/wmsp/server/server.js';
import { type TestHeaderOptions, type TestPacketOptions, testHeader, testPacket } from '../support/stream.js';
import {
  parseResponse,
  parseWholeResponse,
  RawPeer,
  type WirePacket,
  type WireResponse,
  wirePackets,
} from '../support/wire.js';

/** The identities of a client below 9.0 and of one from 9.0. */
export const OLD = 'User-Agent: NSPlayer/4.1.0.3856';
export const NEW = 'User-Agent: NSPlayer/12.0.7680.0';

export interface PlayTokens {
  readonly rate?: string;
  readonly time?: number | string;
  readonly packet?: number | string;
  readonly offset?: string;
  readonly maxDuration?: number | string;
}

/** The tokens of a Play, apart from its identity. */
export function playTokens(tokens: PlayTokens = {}): string[] {
  const { rate = '1.000', time = 0, packet = 4294967295, offset = '4294967295:4294967295', maxDuration = 0 } = tokens;
  return [
    `Pragma: no-cache,rate=${rate},stream-time=${time},stream-offset=${offset},packet-num=${packet},max-duration=${maxDuration}`,
    'Pragma: xPlayStrm=1',
  ];
}

export const PLAY: readonly string[] = playTokens();
export const BOTH_STREAMS: readonly string[] = [
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

export interface StationOptions extends Partial<WmspServerOptions> {
  /** Default: one broadcast at /live. */
  readonly content?: Content;
  readonly maxPlayers?: number;
}

export const EVERYBODY = ruleOf({});

/** A WMSP server with one broadcast at /live, which the test feeds, or with other content, and raw clients. */
export class Station {
  readonly broadcast = new Broadcast({ batchInterval: 0, burst: 1000 });
  readonly server: WmspServer;
  readonly http: HttpServer;
  readonly errors: unknown[] = [];
  port = 0;
  /** The server's clock; {@link tick} moves it. */
  now = 1_000_000;
  readonly #ticker = new Ticker(5);
  #peers: RawPeer[] = [];
  #sendTime = 0;

  private constructor({ content, maxPlayers, ...options }: StationOptions) {
    const live: Content = {
      find: async ({ path }) => {
        if (path !== '/live') return { rule: EVERYBODY, missing: new Refusal('not-found', 'There is nothing.') };
        const info = async () => ({ live: true, playlist: false });
        return { path, rule: EVERYBODY, info, open: async () => liveProgram(this.broadcast) };
      },
    };
    this.server = new WmspServer({
      entrance: new Entrance({ content: content ?? live, limits: new LocalLimits(maxPlayers) }),
      pathOf,
      now: () => this.now,
      ticker: this.#ticker,
      // So that the data shows when it was due.
      ahead: 0,
      onError: (error) => this.errors.push(error),
      ...options,
    });
    this.http = new HttpServer({
      onError: (error) => this.errors.push(error),
      onRequest: (exchange) => {
        if (!this.server.handle(exchange)) exchange.respond({ status: 404, close: true });
      },
    });
  }

  static async open(options: StationOptions = {}, header: TestHeaderOptions | undefined = {}): Promise<Station> {
    const station = new Station(options);
    station.port = await station.http.listen(0, '127.0.0.1');
    if (header) station.header(header);
    return station;
  }

  header(options: TestHeaderOptions = {}): void {
    this.broadcast.write({ type: 'header', header: testHeader(options) });
  }

  /** Feeds one packet, 100 ms after the last one. */
  packet(options: TestPacketOptions = {}): void {
    this.broadcast.write({ type: 'packet', packet: testPacket(this.#sendTime, options) });
    this.#sendTime += 100;
  }

  key(): void {
    this.packet({ key: true });
  }

  end(reason = 0): void {
    this.broadcast.write({ type: 'end', moreEntries: reason === 1, reason });
  }

  /** Lets time pass for the server. */
  tick(milliseconds: number): void {
    this.now += milliseconds;
    this.#ticker.tick();
  }

  /**
   * Lets the server's time pass until something has happened; `step` ms for each turn of the event loop of a
   * millisecond, so that sockets and disk keep up.
   */
  async tickUntil(happened: () => boolean, step = 100): Promise<void> {
    const deadline = Date.now() + 20_000;
    while (!happened()) {
      if (Date.now() > deadline) throw new Error('It did not happen in time.');
      this.tick(step);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets the server settle, so that nothing more happens without time passing. */
  async settle(): Promise<void> {
    for (let round = 0; round < 3; round++) {
      this.tick(0);
      const { status } = await this.ask('OPTIONS * HTTP/1.1', NEW);
      if (status !== 200) throw new Error(`The server said ${status}.`);
    }
  }

  async peer(): Promise<RawPeer> {
    const peer = await RawPeer.connect(this.port);
    this.#peers.push(peer);
    return peer;
  }

  /** Sends a request on its own connection, and returns its whole response. */
  async ask(...lines: string[]): Promise<WireResponse> {
    const peer = await this.peer();
    peer.request(...lines);
    return peer.until(parseWholeResponse);
  }

  /** Starts a Play on its own connection; resolves once its response head and $H have arrived. */
  async play(...lines: string[]): Promise<Watcher> {
    const peer = await this.peer();
    peer.request(...(lines.some((line) => line.startsWith('GET')) ? [] : ['GET /live HTTP/1.0']), ...lines);
    const response = await peer.until((bytes) => {
      const head = parseResponse(bytes);
      return head && (head.status !== 200 || wirePackets(head.body).some(({ id }) => id === 'H')) ? head : undefined;
    });
    return new Watcher(peer, response);
  }

  async close(): Promise<void> {
    for (const peer of this.#peers) peer.close();
    await this.broadcast.close();
    this.server.close();
    await this.http.close(100);
    if (this.errors.length > 0) throw this.errors[0];
  }
}

/** A client that plays. */
export class Watcher {
  readonly peer: RawPeer;
  readonly response: WireResponse;

  constructor(peer: RawPeer, response: WireResponse) {
    this.peer = peer;
    this.response = response;
  }

  get packets(): WirePacket[] {
    return wirePackets(parseResponse(this.peer.received)!.body);
  }

  /** Waits until `count` packets of that kind have arrived, and returns all packets. */
  async packetsWith(id: string, count: number): Promise<WirePacket[]> {
    return this.peer.until((bytes) => {
      const packets = wirePackets(parseResponse(bytes)!.body);
      return packets.filter((packet) => packet.id === id).length >= count ? packets : undefined;
    });
  }

  /** Waits for the end of the connection, and returns all packets. */
  async all(): Promise<WirePacket[]> {
    return wirePackets(parseResponse(await this.peer.untilClosed())!.body);
  }
}

/** Returns the kinds of packets, $C and $E with their Reason in hexadecimal; consecutive $D count once. */
export function kindsOf(packets: readonly WirePacket[]): string[] {
  const kinds = packets.map(({ id, reason }) => (id === 'C' || id === 'E' ? `${id}${reason.toString(16)}` : id));
  return kinds.filter((kind, index) => kind !== 'D' || kinds[index - 1] !== 'D');
}

/** Returns the value of a Pragma token. */
export function tokenOf({ pragma }: WireResponse, name: string): string | undefined {
  return pragma.find((token) => token.startsWith(`${name}=`))?.slice(name.length + 1);
}

/** Returns the client-id in a response. */
export function clientIdOf(response: WireResponse): number {
  const token = response.pragma.find((candidate) => candidate.startsWith('client-id='));
  return Number(token?.slice('client-id='.length));
}
