import { orAborted } from '../abort.js';
import { type AccessControl, type Rule, ruleOf } from '../auth/access.js';
import { addressList } from '../http/address-list.js';
import { plainAddress } from '../http/addresses.js';
import { answersMethod } from '../http/methods.js';
import type { ProxyOptions } from '../http/peer.js';
import { HttpServer, type TlsIdentity } from '../http/server.js';
import { Broadcast, type BroadcastOptions } from '../media/broadcast.js';
import type { AsfSource } from '../media/events.js';
import { pump } from '../media/pump.js';
import { MSBD_FAULTS } from '../msbd/server/fault-frames.js';
import type { MsbdMulticast, MsbdPeer } from '../msbd/server/options.js';
import type { Content, Found } from '../playback/content.js';
import { Entrance } from '../playback/entrance.js';
import { LocalLimits } from '../playback/limits.js';
import { SessionRegistry, type SessionReport } from '../playback/registry.js';
import { liveProgram } from '../playback/single.js';
import { PulledBroadcast } from '../receiving/pulled-broadcast.js';
import { Refusal } from '../refusal.js';
import type { FaultPlan } from '../testing/fault-plan.js';
import { FaultyConnections, RequestFaults } from '../testing/faulty-socket.js';
import { WmspServer } from '../wmsp/server/server.js';
import { openAccess } from './access/credentials.js';
import { readTls, type TlsFileNames } from './access/tls-files.js';
import { pathOf } from './content/paths.js';
import { enterByMsbd, MsbdListener, type MsbdPort } from './listeners/msbd.js';

/** The ports of an encoder that waits to be pulled. */
export interface EncoderServerOptions {
  readonly host?: string | undefined;
  /** 0 picks a free port. */
  readonly httpPort: number;
  /** Default `none`. */
  readonly msbdPort?: MsbdPort | undefined;
  /** Where to send packets for MSBD clients that request multicast delivery; without it they are refused. */
  readonly multicast?: MsbdMulticast | undefined;
  /** Opens the source to be pulled; called several times with `onDemand`. */
  readonly open: () => Promise<AsfSource>;
  /** True to capture only while a client pulls; otherwise the capture runs from the start. */
  readonly onDemand?: boolean;
  readonly maxClients?: number | undefined;
  /** Addresses and networks (`192.0.2.0/24`) that may pull, or `loopback` for this host; if empty, all may. */
  readonly allow?: readonly string[];
  /**
   * The file of users who may pull by HTTP, with their passwords. MSBD has no passwords, so `auto` then means `none`
   * for it.
   */
  readonly users?: string | undefined;
  /** Addresses of proxies that announce their clients by the PROXY protocol on every connection, on both ports. */
  readonly proxyProtocol?: readonly string[] | undefined;
  /** Uses TLS on the HTTP port. */
  readonly tls?: TlsFileNames | undefined;
  readonly broadcast?: BroadcastOptions;
  /** Faults to commit, to each client for itself. */
  readonly faults?: FaultPlan | undefined;
  readonly onPlay?: (client: string, remoteAddress: string) => void;
  readonly onPlayed?: (report: SessionReport) => void;
  readonly onError?: (error: unknown) => void;
  /** Called about problems that an operator can fix. */
  readonly onWarning?: ((message: string) => void) | undefined;
}

/** The users, the key and the certificate, which are read before the server is created. */
interface Means {
  readonly access: AccessControl;
  readonly tls: TlsIdentity | undefined;
}

// How long a puller waits for the header of a capture that has just started, in ms.
const START_TIMEOUT = 15_000;
// How long a capture that was started for a puller continues without pullers, in ms.
const LINGER = 10_000;

/**
 * An encoder host that waits to be pulled by servers and players (MS-WMSP 4.11, MS-MSBD): one live stream, whatever the
 * path or channel.
 */
export class EncoderServer implements Content {
  readonly broadcast: Broadcast;
  readonly #options: EncoderServerOptions;
  readonly #http: HttpServer;
  readonly #wmsp: WmspServer;
  readonly #msbd: MsbdListener;
  readonly #registry: SessionRegistry;
  readonly #rule: Rule;
  readonly #entrance: Entrance;
  readonly #onDemand: PulledBroadcast | undefined;
  #source: AsfSource | undefined;
  #running: Promise<void> | undefined;
  readonly #whenClosed: Array<() => void> = [];
  #closed = false;
  #ports: { http: number; msbd?: number } = { http: 0 };

  private constructor(options: EncoderServerOptions, { access, tls }: Means) {
    this.#options = options;
    const { allow = [], users } = options;
    this.#rule = ruleOf({
      ...(allow.length === 0 ? {} : { addresses: allow }),
      ...(users === undefined ? {} : { users: ['*'] }),
    });
    const { onWarning } = options;
    this.broadcast = new Broadcast({ ...(onWarning ? { onWarning } : {}), ...options.broadcast });
    this.#onDemand = options.onDemand ? this.#pulled(options) : undefined;
    this.#entrance = new Entrance({ content: this, access, limits: new LocalLimits(options.maxClients) });
    this.#registry = new SessionRegistry({
      onBegin: ({ client, remoteAddress }) => options.onPlay?.(client, remoteAddress),
      onEnd: (report) => options.onPlayed?.(report),
    });
    this.#wmsp = new WmspServer({
      entrance: this.#entrance,
      pathOf,
      encoder: true,
      registry: this.#registry,
      onError: (error) => options.onError?.(error),
    });
    const faults = options.faults && new FaultyConnections(options.faults);
    const refusals = options.faults && new RequestFaults(options.faults);
    this.#msbd = this.#msbdListener(faults);
    this.#http = new HttpServer({
      onSocket: faults && ((socket) => faults.take(socket, 'http')),
      ...(tls === undefined ? {} : { tls }),
      proxies: this.#proxies,
      onError: (error) => options.onError?.(error),
      onWarning: options.onWarning,
      onRequest: (exchange) => {
        const { remoteAddress, local } = exchange;
        const status = refusals?.next();
        if (status !== undefined) return exchange.respond({ status, close: true });
        if (this.#rule.addresses?.includes(remoteAddress, local) === false) {
          throw new Refusal('forbidden', `${plainAddress(remoteAddress)} may not pull.`);
        }
        // MS-WMSP 3.2.5.1: other clients do not get media.
        if (this.#wmsp.handle(exchange) || answersMethod(exchange)) return;
        throw new Refusal('not-found', 'Only Windows Media clients are served here.');
      },
    });
  }

  /**
   * Starts to listen, and to capture unless that waits for the first puller.
   *
   * @throws WmError WM_PORT_IN_USE, WM_USAGE for a malformed address, WM_CONFIG if the users, the key or the
   *   certificate are unusable
   */
  static async start(options: EncoderServerOptions): Promise<EncoderServer> {
    const { users, tls, onWarning = () => {} } = options;
    const access = await openAccess({ users }, onWarning);
    const server = new EncoderServer(options, { access, tls: tls && (await readTls(tls, onWarning)) });
    const http = await server.#http.listen(options.httpPort, options.host);
    server.#ports = { http };
    try {
      server.#ports = { http, ...(await server.#msbd.start()) };
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  get ports(): { http: number; msbd?: number } {
    return this.#ports;
  }

  get clients(): number {
    return this.#registry.players;
  }

  /** Captures until the source ends; with `onDemand` until `close`. Throws the errors of the capture. */
  async run(): Promise<void> {
    if (this.#options.onDemand) {
      await new Promise<void>((resolve) => this.#whenClosed.push(resolve));
      return;
    }
    const capture = this.#capture();
    this.#track(capture.catch(() => {}));
    await capture;
  }

  /** Finds the one stream, whatever the path. */
  async find(): Promise<Found> {
    return {
      path: '/',
      rule: this.#rule,
      info: async () => ({ live: true, playlist: false }),
      open: async (signal) => {
        await orAborted(this.#start(), signal);
        return liveProgram(this.broadcast);
      },
    };
  }

  get #proxies(): ProxyOptions | undefined {
    const { proxyProtocol, onWarning } = this.#options;
    return proxyProtocol && { addresses: addressList(proxyProtocol), onWarning };
  }

  #msbdListener(faults: FaultyConnections | undefined): MsbdListener {
    const { msbdPort = 'none', host, multicast, onError, users } = this.#options;
    return new MsbdListener({
      port: msbdPort === 'auto' && users !== undefined ? 'none' : msbdPort,
      host,
      multicast,
      proxies: this.#proxies,
      content: { open: (_channel, client) => this.#openMsbd(client) },
      registry: this.#registry,
      pathOf: () => '/',
      onSocket: faults && ((socket) => faults.take(socket, MSBD_FAULTS)),
      onError,
    });
  }

  async #openMsbd(client: MsbdPeer): Promise<Broadcast> {
    await enterByMsbd(this.#entrance, '/', client);
    await orAborted(this.#start(), client.signal);
    return this.broadcast;
  }

  #pulled({ open, onError }: EncoderServerOptions): PulledBroadcast {
    return new PulledBroadcast({
      sources: [{ name: 'the capture', open: () => open() }],
      policy: 'first-player',
      linger: LINGER,
      begin: () => this.broadcast,
      end: () => void this.broadcast.close(),
      wanted: () => this.clients > 0 || this.broadcast.wanted,
      onFailure: (_source, _reason, error) => onError?.(error),
    });
  }

  /** Starts a capture that waits for its first puller. If it fails, the client is told that nothing is there. */
  async #start(): Promise<void> {
    if (this.#onDemand) await this.#onDemand.demand().catch(() => {});
    else if (this.#running && !this.broadcast.live) await this.#header(this.#running);
  }

  /** Ends the capture and informs all pullers with $E. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#onDemand?.close();
    await this.#source?.close();
    await this.#running;
    await this.broadcast.close();
    this.#wmsp.close();
    await Promise.all([this.#http.close(), this.#msbd.close()]);
    for (const done of this.#whenClosed) done();
  }

  async #capture(): Promise<void> {
    const source = await this.#options.open();
    this.#source = source;
    try {
      if (!this.#closed) await pump(source, [this.broadcast]);
    } finally {
      this.#source = undefined;
      await source.close();
      await this.broadcast.close();
    }
  }

  /** @param capture never rejects */
  #track(capture: Promise<void>): void {
    this.#running = capture.finally(() => {
      this.#running = undefined;
    });
  }

  /** Waits until a capture that has just started has its header or has ended. */
  async #header(running: Promise<void>): Promise<void> {
    await Promise.race([this.broadcast.nextHeader(START_TIMEOUT), running]);
  }
}
