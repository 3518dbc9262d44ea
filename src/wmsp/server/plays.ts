import { plainAddress } from '../../http/addresses.js';
import type { Exchange } from '../../http/exchange.js';
import type { Pass } from '../../playback/entrance.js';
import { contentOf } from '../../playback/entry.js';
import type {
  ProxyClient,
  RunningSession,
  SessionContent,
  SessionCounts,
  SessionRegistry,
} from '../../playback/registry.js';
import type { WmspSession } from './session.js';

/** A Play request, as received. */
export interface PlayRequest {
  readonly path: string;
  /** The product that the client names. */
  readonly client: string;
  readonly exchange: Pick<Exchange, 'remoteAddress' | 'secure'>;
  readonly proxyClient?: ProxyClient | undefined;
}

/** One Play in the registry. There are thousands, so it is small: it holds neither the request nor its pass. */
class Play implements RunningSession {
  readonly role = 'player';
  readonly protocol = 'WMSP';
  readonly transport: string;
  readonly path: string;
  readonly client: string;
  readonly remoteAddress: string;
  readonly user: string | undefined;
  readonly clientId: number;
  readonly proxyClient: ProxyClient | undefined;
  /** Gives its place among the players back. */
  readonly leave: () => void;
  /** Ends it in the registry; undefined until its response was opened. */
  over: (() => void) | undefined;
  readonly #session: WmspSession;
  /** Bytes of the session before it. */
  #before = 0;

  constructor(session: WmspSession, { user, leave }: Pass, { path, client, exchange, proxyClient }: PlayRequest) {
    this.#session = session;
    this.transport = exchange.secure ? 'tls' : 'tcp';
    this.path = path;
    this.client = client;
    this.remoteAddress = plainAddress(exchange.remoteAddress);
    this.user = user;
    this.clientId = session.clientId;
    this.proxyClient = proxyClient;
    this.leave = leave;
  }

  /** Its response was opened. */
  begin(registry: SessionRegistry): void {
    this.#before = this.#session.bytes;
    this.over = registry.begin(this);
  }

  counts(): SessionCounts {
    const { sent, skipped } = this.#session.playback.packets;
    return { bytes: this.#session.bytes - this.#before, packets: sent, lost: skipped };
  }

  get peer(): object {
    return this.#session;
  }

  content(): SessionContent | undefined {
    const { current, startedAt } = this.#session.playback;
    return contentOf(current, startedAt);
  }

  entry(): number | undefined {
    const { program, current } = this.#session.playback;
    return program?.playlist && current ? Math.floor(current.id) : undefined;
  }

  stop(): void {
    this.#session.kick();
  }
}

/** The sessions that have a Play response open, or are about to. */
export class Plays {
  readonly #registry: SessionRegistry;
  readonly #plays = new Map<WmspSession, Play>();

  constructor(registry: SessionRegistry) {
    this.#registry = registry;
  }

  get size(): number {
    return this.#plays.size;
  }

  /** A session takes a place, which is not reported yet. */
  begin(session: WmspSession, pass: Pass, request: PlayRequest): void {
    this.ended(session);
    this.#plays.set(session, new Play(session, pass, request));
  }

  /** Its response was opened. */
  opened(session: WmspSession): void {
    this.#plays.get(session)?.begin(this.#registry);
  }

  /** Its response has ended; called even if there was none. */
  ended(session: WmspSession): void {
    const play = this.#plays.get(session);
    this.#plays.delete(session);
    play?.leave();
    play?.over?.();
  }
}
