import { SessionIds } from '../../playback/session-ids.js';
import type { ClientProfile } from './profiles.js';
import { type SessionHost, WmspSession } from './session.js';

// The actual Idle-Timeout in ms: a few seconds more than the announced one, to allow for the network (MS-WMSP 3.2.5.2).
const IDLE_TIMEOUT = 65_000;

/** The sessions of a server, by client-id (MS-WMSP 3.2.1). */
export class Sessions implements Iterable<WmspSession> {
  // In order of last use, which makes the oldest idle one cheap to find.
  readonly #sessions = new Map<number, WmspSession>();
  readonly #maxIdle: number;
  readonly #now: () => number;
  readonly #ids: SessionIds;

  /** @param maxIdle sessions that do not stream; beyond it, the least recently used ones are forgotten */
  constructor(maxIdle: number, now: () => number, ids: SessionIds = new SessionIds()) {
    this.#maxIdle = maxIdle;
    this.#now = now;
    this.#ids = ids;
  }

  get size(): number {
    return this.#sessions.size;
  }

  [Symbol.iterator](): Iterator<WmspSession> {
    return this.#sessions.values();
  }

  get(clientId: number): WmspSession | undefined {
    return this.#sessions.get(clientId);
  }

  /** @param address the client's address, as in {@link WmspSession.address} */
  create(profile: ClientProfile, address: string, host: SessionHost): WmspSession {
    let clientId: number;
    // Below 2^31, since some clients read it as a signed number; 0 would mean no session.
    do clientId = this.#ids.random(1, 0x7fffffff);
    while (this.#sessions.has(clientId));
    const session = new WmspSession(clientId, profile, address, host);
    this.touch(session);
    return session;
  }

  /** Records that the session was just used. */
  touch(session: WmspSession): void {
    session.usedAt = this.#now();
    this.#sessions.delete(session.clientId);
    this.#sessions.set(session.clientId, session);
  }

  /** Ends and forgets a session. */
  delete(session: WmspSession): void {
    session.stop();
    this.#sessions.delete(session.clientId);
  }

  /**
   * Forgets sessions whose Idle-Timeout has expired (MS-WMSP 3.2.6.2), and closes their remaining connections.
   *
   * @param streaming how many have a Play response open
   */
  sweep(streaming: number): void {
    const limit = this.#now() - IDLE_TIMEOUT;
    let excess = this.#sessions.size - streaming - this.#maxIdle;
    for (const session of this.#sessions.values()) {
      if (session.state === 'STREAMING') continue;
      if (session.usedAt > limit && excess <= 0) break;
      session.disconnect();
      this.delete(session);
      excess--;
    }
  }
}
