import { plainAddress } from '../http/addresses.js';
import type { Exchange } from '../http/exchange.js';
import type { Pass } from '../playback/entrance.js';
import type { SessionRegistry } from '../playback/registry.js';
import type { WmspSession } from './session.js';

/** A Play request, as received. */
export interface PlayRequest {
  readonly path: string;
  /** The product that the client names. */
  readonly client: string;
  readonly exchange: Pick<Exchange, 'remoteAddress' | 'secure'>;
}

interface Play extends PlayRequest {
  /** Its place among the players. */
  readonly pass: Pass;
  /** Ends it in the registry; undefined until its response was opened. */
  over: (() => void) | undefined;
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
  begin(session: WmspSession, pass: Pass, { path, client, exchange }: PlayRequest): void {
    this.ended(session);
    const { remoteAddress, secure } = exchange;
    this.#plays.set(session, { path, client, exchange: { remoteAddress, secure }, pass, over: undefined });
  }

  /** Its response was opened. */
  opened(session: WmspSession): void {
    const play = this.#plays.get(session);
    if (!play) return;
    const { path, client, exchange, pass } = play;
    const before = session.bytes;
    play.over = this.#registry.begin({
      role: 'player',
      protocol: 'WMSP',
      transport: exchange.secure ? 'tls' : 'tcp',
      path,
      client,
      remoteAddress: plainAddress(exchange.remoteAddress),
      user: pass.user,
      clientId: session.clientId,
      counts: () => {
        const { sent, skipped } = session.playback.packets;
        return { bytes: session.bytes - before, packets: sent, lost: skipped };
      },
      entry: () => (session.playback.program?.playlist ? session.playback.current?.id : undefined),
      stop: () => session.kick(),
    });
  }

  /** Its response has ended; called even if there was none. */
  ended(session: WmspSession): void {
    const play = this.#plays.get(session);
    this.#plays.delete(session);
    play?.pass.leave();
    play?.over?.();
  }
}
