import type { Pass } from '../playback/entrance.js';
import type { PlayReport } from './server-options.js';
import type { WmspSession } from './session.js';

/** Who hears of plays, and a clock in ms. */
export interface PlaysOptions {
  readonly onPlay?: ((path: string, client: string, remoteAddress: string, clientId: number) => void) | undefined;
  readonly onPlayed?: ((report: PlayReport) => void) | undefined;
  now(): number;
}

interface Play {
  readonly path: string;
  readonly client: string;
  readonly remoteAddress: string;
  readonly since: number;
  /** Its place among the players. */
  readonly pass: Pass;
  /** Its response was opened. */
  opened: boolean;
}

/** The sessions that have a Play response open, or are about to. */
export class Plays {
  readonly #options: PlaysOptions;
  readonly #plays = new Map<WmspSession, Play>();

  constructor(options: PlaysOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#plays.size;
  }

  /** A session takes a place; nobody is told yet. */
  begin(session: WmspSession, pass: Pass, path: string, client: string, remoteAddress: string): void {
    this.#plays.get(session)?.pass.leave();
    this.#plays.set(session, { path, client, remoteAddress, since: this.#options.now(), pass, opened: false });
  }

  /** Its response was opened. */
  opened(session: WmspSession): void {
    const play = this.#plays.get(session);
    if (!play) return;
    play.opened = true;
    this.#options.onPlay?.(play.path, play.client, play.remoteAddress, session.clientId);
  }

  /** Its response has ended; called also when there was none. */
  ended(session: WmspSession): void {
    const play = this.#plays.get(session);
    this.#plays.delete(session);
    play?.pass.leave();
    if (!play?.opened) return;
    const { path, client, remoteAddress, since } = play;
    const { sent, skipped } = session.playback.packets;
    const milliseconds = this.#options.now() - since;
    const { clientId } = session;
    const report = { clientId, path, client, remoteAddress, milliseconds, packets: sent, skippedPackets: skipped };
    this.#options.onPlayed?.(report);
  }
}
