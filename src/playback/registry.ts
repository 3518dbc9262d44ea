import type { AsfHeader } from '../asf/header.js';
import { SessionIds } from './session-ids.js';

/** The purpose of a session: to play, or to feed a publishing point. @public */
export type SessionRole = 'player' | 'publisher';

/** What a proxy says about the client that it asks for. @public */
export interface ProxyClient {
  /** The product of the client. */
  readonly agent?: string;
  /** The method of the client's request, of HTTP or RTSP. */
  readonly verb?: string;
}

/** The facts known about a session when it begins. @public */
export interface SessionFacts {
  readonly role: SessionRole;
  /** `WMSP`, `WMHTTP`, `MSBD`, `HTTP` … */
  readonly protocol: string;
  /** `tcp`, `tls`, `udp` or `multicast`. */
  readonly transport: string;
  /** The path of what is played or fed. */
  readonly path: string;
  /** The product that the client names. */
  readonly client: string;
  /** The address in text form. */
  readonly remoteAddress: string;
  /** The authenticated user, if authentication was required. */
  readonly user?: string | undefined;
  /** The client-id (MS-WMSP 2.2.1.4.2). */
  readonly clientId?: number | undefined;
  /** The client of a proxy that plays for it. */
  readonly proxyClient?: ProxyClient | undefined;
}

/** The traffic of a session so far. @public */
export interface SessionCounts {
  /** Bytes of its streams, including framing. */
  readonly bytes: number;
  /** Data packets. */
  readonly packets: number;
  /** Data packets dropped because the client was too slow. */
  readonly lost: number;
}

/** What a session plays. @public */
export interface SessionContent {
  readonly header: AsfHeader | undefined;
  /** Undefined for a broadcast; sizes in bytes. */
  readonly file?: { readonly path: string; readonly size: number; readonly durationMs: number } | undefined;
  /** Where in the file it was started, in ms. */
  readonly startedAt?: number | undefined;
  /** Names and values that players are told about it. */
  readonly descriptions?: ReadonlyArray<readonly [name: string, value: string]> | undefined;
}

/** A session, as its protocol knows it. @public */
export interface RunningSession extends SessionFacts {
  counts(): SessionCounts;
  /** The number of the current playlist entry; undefined outside of playlists. */
  entry?(): number | undefined;
  /** The protocol's own session, which may play several times, and to which the logs of its client belong. */
  readonly peer?: object;
  /** True while its client is connected although it does not play: its log may still come. */
  connected?(): boolean;
  /** Describes what it plays now, for its log; undefined once that is closed. */
  content?(): SessionContent | undefined;
  /** Ends the session, which then reports its end itself. Further calls have no effect. */
  stop(): void;
}

/** A session, as operators see it. @public */
export interface SessionInfo extends SessionFacts, SessionCounts {
  /** Identifies the host, the process and the session. */
  readonly id: string;
  readonly entry: number | undefined;
  /** In ms since 1970. */
  readonly since: number;
}

/** The summary of a session that has ended. @public */
export interface SessionReport extends SessionFacts {
  readonly id: string;
  readonly milliseconds: number;
  /** Data packets sent. */
  readonly packets: number;
  /** Packets dropped because the client was too slow. */
  readonly skippedPackets: number;
  readonly bytes: number;
}

/** @public */
export interface SessionFilter {
  readonly role?: SessionRole;
  /** The maximum number of sessions in the answer. */
  readonly limit?: number;
  /** The id after which the list starts; default: from the first. */
  readonly after?: string;
  /** True to leave out the sessions of other hosts. */
  readonly here?: boolean;
}

/** @public */
export interface SessionList {
  /** The number of all sessions that match the filter. */
  readonly total: number;
  readonly sessions: readonly SessionInfo[];
}

/** The sessions of other processes of the same server. @public */
export interface OtherSessions {
  /** The number of their players. */
  readonly players: number;
  /** Bytes that they have sent to players. */
  readonly bytesOut: number;
  /** @param here true to leave out those of other hosts */
  sessions(here?: boolean): Promise<readonly SessionInfo[]>;
  /** Ends a session. @returns false if none has that id */
  end(id: string): Promise<boolean>;
}

/** @public */
export interface SessionRegistryOptions {
  /** Returns the other processes, if there are any. */
  readonly others?: () => OtherSessions | undefined;
  readonly ids?: SessionIds;
  readonly onBegin?: (info: SessionInfo, session: RunningSession) => void;
  readonly onEnd?: (report: SessionReport, session: RunningSession) => void;
  /** A monotonic clock in ms; default: `performance.now`. */
  readonly now?: () => number;
}

interface Registered {
  readonly session: RunningSession;
  readonly id: string;
  readonly since: number;
  readonly startedAt: number;
}

/**
 * All sessions, whatever their protocol: the one place that counts, ends and reports them. Asynchronous where other
 * processes and hosts may have to be asked.
 *
 * @public
 */
export class SessionRegistry {
  readonly #options: SessionRegistryOptions;
  readonly #ids: SessionIds;
  readonly #now: () => number;
  readonly #entries = new Map<string, Registered>();
  #players = 0;
  /** Bytes sent to players that have left. */
  #bytesBefore = 0;

  constructor(options: SessionRegistryOptions = {}) {
    this.#options = options;
    this.#ids = options.ids ?? new SessionIds();
    this.#now = options.now ?? (() => performance.now());
  }

  /** The number of players. */
  get players(): number {
    return this.#players + (this.#others?.players ?? 0);
  }

  /** Bytes that were sent to players since the start. */
  get bytesOut(): number {
    let bytes = this.#bytesBefore + (this.#others?.bytesOut ?? 0);
    for (const { session } of this.#entries.values()) if (session.role === 'player') bytes += session.counts().bytes;
    return bytes;
  }

  /** Yields the sessions of this process. */
  *[Symbol.iterator](): Generator<SessionInfo, void, undefined> {
    for (const entry of this.#entries.values()) yield infoOf(entry);
  }

  /**
   * Registers a session that begins.
   *
   * @returns a function to call at its end; further calls have no effect
   */
  begin(session: RunningSession): () => void {
    const entry = { session, id: this.#ids.next(), since: Date.now(), startedAt: this.#now() };
    this.#entries.set(entry.id, entry);
    if (session.role === 'player') this.#players++;
    this.#options.onBegin?.(infoOf(entry), session);
    return () => this.#end(entry);
  }

  get #others(): OtherSessions | undefined {
    return this.#options.others?.();
  }

  async list({ role, limit = Number.POSITIVE_INFINITY, after, here }: SessionFilter = {}): Promise<SessionList> {
    const isMeant = (session: SessionFacts) => role === undefined || session.role === role;
    const others = ((await this.#others?.sessions(here)) ?? []).filter(isMeant);
    // The session with this id may have ended meanwhile.
    const isNext = after === undefined ? () => true : laterThan(after);
    // Those of this process are in order, so that a page of thousands costs no more than what is on it.
    const own: Registered[] = [];
    let total = others.length;
    for (const entry of this.#entries.values()) {
      if (!isMeant(entry.session)) continue;
      total++;
      if (own.length < limit && isNext(entry.id)) own.push(entry);
    }
    if (others.length === 0) return { total, sessions: own.map(infoOf) };
    const rest = others.filter(({ id }) => isNext(id)).map((info) => ({ id: info.id, info: () => info }));
    const all = [...own.map((entry) => ({ id: entry.id, info: () => infoOf(entry) })), ...rest];
    const keyed = all.map((each) => ({ ...each, key: partsOf(each.id) })).sort((a, b) => compareParts(a.key, b.key));
    return { total, sessions: keyed.slice(0, limit).map(({ info }) => info()) };
  }

  /** Ends a session. @returns false if no session has that id */
  async end(id: string): Promise<boolean> {
    const entry = this.#entries.get(id);
    entry?.session.stop();
    return entry !== undefined || ((await this.#others?.end(id)) ?? false);
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
    const report = { id, ...factsOf(session), milliseconds, packets, skippedPackets: lost, bytes };
    this.#options.onEnd?.(report, session);
  }
}

/** Returns the parts of an id: the host, the process, and the count of the session there. */
function partsOf(id: string): readonly number[] {
  return id.split('.').map(Number);
}

/** Compares ids by their processes and then by their counts, which only grow. */
function compareParts(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < 3; at++) {
    const difference = (a[at] || 0) - (b[at] || 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function laterThan(after: string): (id: string) => boolean {
  const parts = partsOf(after);
  return (id) => compareParts(partsOf(id), parts) > 0;
}

function factsOf(session: RunningSession): SessionFacts {
  const { role, protocol, transport, path, client, remoteAddress, user, clientId, proxyClient } = session;
  const facts = { role, protocol, transport, path, client, remoteAddress, user, clientId };
  return proxyClient ? { ...facts, proxyClient } : facts;
}

function infoOf({ session, id, since }: Registered): SessionInfo {
  return { id, ...factsOf(session), entry: session.entry?.(), since, ...session.counts() };
}
