import { contentOf } from './entry.js';
import type { RunningSession, SessionCounts, SessionRegistry } from './registry.js';
import type { PlaybackSession } from './session.js';

/** A player's session, as the registry reports it. */
export interface PlayingSession {
  readonly path: string;
  /** The product that the client names. */
  readonly client: string;
  readonly remoteAddress: string;
  readonly user: string | undefined;
  readonly transport: string;
  readonly playback: PlaybackSession;
  /** Bytes sent to the client so far, including framing and answers. */
  readonly bytes: number;
  /** True until its client has left. */
  readonly connected: boolean;
  kick(): void;
}

/** The sessions of one protocol that play: each is in the registry for as long as something is sent to it. */
export class PlayingSessions<S extends PlayingSession> {
  readonly #protocol: string;
  readonly #registry: SessionRegistry;
  readonly #entry: ((session: S) => number | undefined) | undefined;
  readonly #playing = new Map<S, () => void>();

  /** @param entry returns the number of a session's playlist entry */
  constructor(protocol: string, registry: SessionRegistry, entry?: (session: S) => number | undefined) {
    this.#protocol = protocol;
    this.#registry = registry;
    this.#entry = entry;
  }

  get size(): number {
    return this.#playing.size;
  }

  /** Begins a session in the registry, unless it is there. */
  started(session: S): void {
    if (this.#playing.has(session)) return;
    const { path, client, remoteAddress, transport, user } = session;
    const bytesBefore = session.bytes;
    const running: RunningSession = {
      role: 'player',
      protocol: this.#protocol,
      transport,
      path,
      client,
      remoteAddress,
      user,
      counts: () => countsOf(session, bytesBefore),
      entry: () => this.#entry?.(session),
      peer: session,
      connected: () => session.connected,
      content: () => contentOf(session.playback.current, session.playback.startedAt),
      stop: () => session.kick(),
    };
    this.#playing.set(session, this.#registry.begin(running));
  }

  /** Ends a session in the registry; does nothing if it is not there. */
  stopped(session: S): void {
    this.#playing.get(session)?.();
    this.#playing.delete(session);
  }
}

/** A session may play several times over one connection: bytes are those of this time, as its packets are. */
function countsOf({ bytes, playback }: PlayingSession, bytesBefore: number): SessionCounts {
  const { sent, skipped } = playback.packets;
  return { bytes: bytes - bytesBefore, packets: sent, lost: skipped };
}
