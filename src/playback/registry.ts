import { SessionIds } from './session-ids.js';

/** What somebody does here: plays, or feeds a publishing point. */
export type SessionRole = 'player' | 'publisher';

/** What is known of a session when it begins. */
export interface SessionFacts {
  readonly role: SessionRole;
  /** `WMSP`, `WMHTTP`, `MSBD`, `HTTP` … */
  readonly protocol: string;
  /** `tcp`, `tls`, `udp` or `multicast`. */
  readonly transport: string;
  /** What is played or fed. */
  readonly path: string;
  /** The product that the client names. */
  readonly client: string;
  /** As people write it. */
  readonly remoteAddress: string;
  /** Who was let in, if that was asked. */
  readonly user?: string | undefined;
  /** The client-id of MS-WMSP 2.2.1.4.2. */
  readonly clientId?: number | undefined;
}

/** What went over a session so far. */
export interface SessionCounts {
  /** Bytes of its streams, framing included. */
  readonly bytes: number;
  /** Data packets. */
  readonly packets: number;
  /** Data packets left out because the client was too slow. */
  readonly lost: number;
}

/** A session as its protocol knows it. */
export interface RunningSession extends SessionFacts {
  counts(): SessionCounts;
  /** The number of the playlist entry that plays; undefined outside of playlists. */
  entry?(): number | undefined;
  /** Ends it; it says itself that it is over. More than one call does nothing. */
  stop(): void;
}

/** A session as operators see it. */
export interface SessionInfo extends SessionFacts, SessionCounts {
  /** Names the host, the process and the session. */
  readonly id: string;
  readonly entry: number | undefined;
  /** Ms since 1970. */
  readonly since: number;
}

/** What a session was, told when it is over. */
export interface SessionReport extends SessionFacts {
  readonly id: string;
  readonly milliseconds: number;
  /** Data packets that were sent. */
  readonly packets: number;
  /** Packets left out because the client was too slow. */
  readonly skippedPackets: number;
  readonly bytes: number;
}

export interface SessionFilter {
  readonly role?: SessionRole;
  /** Most sessions in the answer. */
  readonly limit?: number;
  /** The id behind which to go on; default from the first. */
  readonly after?: string;
}

export interface SessionList {
  /** All that fit the filter. */
  readonly total: number;
  readonly sessions: readonly SessionInfo[];
}

export interface SessionRegistryOptions {
  readonly ids?: SessionIds;
  readonly onBegin?: (info: SessionInfo) => void;
  readonly onEnd?: (report: SessionReport) => void;
  /** Ms since 1970, only going forward; default `Date.now`. */
  readonly now?: () => number;
}

interface Registered {
  readonly session: RunningSession;
  readonly id: string;
  readonly since: number;
  readonly startedAt: number;
}

/**
 * All sessions, whatever their protocol: the one place that counts them, that ends them, and that reports leave from. Asynchronous where
 * other processes and hosts may have to be asked.
 */
export class SessionRegistry {
  readonly #options: SessionRegistryOptions;
  readonly #ids: SessionIds;
  readonly #now: () => number;
  readonly #entries = new Map<string, Registered>();
  #players = 0;
  /** Bytes to players that have left. */
  #bytesBefore = 0;

  constructor(options: SessionRegistryOptions = {}) {
    this.#options = options;
    this.#ids = options.ids ?? new SessionIds();
    this.#now = options.now ?? (() => performance.now());
  }

  /** Players of this process. */
  get players(): number {
    return this.#players;
  }

  /** Bytes that this process has sent to players since its start. */
  get bytesOut(): number {
    let bytes = this.#bytesBefore;
    for (const { session } of this.#entries.values()) if (session.role === 'player') bytes += session.counts().bytes;
    return bytes;
  }

  /** The sessions of this process. */
  *[Symbol.iterator](): Generator<SessionInfo, void, undefined> {
    for (const entry of this.#entries.values()) yield infoOf(entry);
  }

  /**
   * A session begins.
   *
   * @returns to be called when it is over; more than one call does nothing
   */
  begin(session: RunningSession): () => void {
    const entry = { session, id: this.#ids.next(), since: Date.now(), startedAt: this.#now() };
    this.#entries.set(entry.id, entry);
    if (session.role === 'player') this.#players++;
    this.#options.onBegin?.(infoOf(entry));
    return () => this.#end(entry);
  }

  async list({ role, limit = Number.POSITIVE_INFINITY, after }: SessionFilter = {}): Promise<SessionList> {
    const all = [...this.#entries.values()].filter(({ session }) => role === undefined || session.role === role);
    // The one that the id is of may have ended meanwhile.
    const from = after === undefined ? 0 : countIn(after);
    const rest = all.filter(({ id }) => countIn(id) > from);
    return { total: all.length, sessions: rest.slice(0, limit).map(infoOf) };
  }

  /** Ends a session. @returns false if there is none with that id */
  async end(id: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    entry?.session.stop();
    return entry !== undefined;
  }

  #end(entry: Registered): void {
    if (!this.#entries.delete(entry.id)) return;
    const { session, id, startedAt } = entry;
    const { bytes, packets, lost } = session.counts();
    if (session.role === 'player') {
      this.#players--;
      this.#bytesBefore += bytes;
    }
    const milliseconds = Math.round(this.#now() - startedAt);
    this.#options.onEnd?.({ id, ...factsOf(session), milliseconds, packets, skippedPackets: lost, bytes });
  }
}

/** The count in an id, which only grows. */
function countIn(id: string): number {
  return Number(id.slice(id.lastIndexOf('.') + 1)) || 0;
}

function factsOf(session: RunningSession): SessionFacts {
  const { role, protocol, transport, path, client, remoteAddress, user, clientId } = session;
  return { role, protocol, transport, path, client, remoteAddress, user, clientId };
}

function infoOf({ session, id, since }: Registered): SessionInfo {
  return { id, ...factsOf(session), entry: session.entry?.(), since, ...session.counts() };
}
