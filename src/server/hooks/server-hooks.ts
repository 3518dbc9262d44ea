import type { SessionInfo, SessionReport } from '../../playback/registry.js';
import { Hooks, type HooksOptions } from './hooks.js';

/** Somebody who wants to publish or to play. */
interface Candidate {
  readonly path: string;
  readonly remoteAddress: string;
  readonly user: string | undefined;
}

/** The events of a server as hooks are told them. */
export class ServerHooks {
  readonly #hooks: Hooks;

  constructor(options: HooksOptions) {
    this.#hooks = new Hooks(options);
  }

  /** A session has begun. */
  began({ role, id, path, protocol, transport, client, remoteAddress, user }: SessionInfo): void {
    const event = role === 'player' ? 'play' : 'publish';
    this.#hooks.notify({ event, path, id, address: remoteAddress, user, protocol, transport, client });
  }

  /** A session has ended. */
  ended(report: SessionReport): void {
    const { role, id, path, protocol, transport, client, remoteAddress, user, milliseconds, bytes, packets } = report;
    const event = role === 'player' ? 'stop' : 'unpublish';
    const who = { id, address: remoteAddress, user, protocol, transport, client };
    this.#hooks.notify({ event, path, ...who, seconds: milliseconds / 1000, bytes, packets });
  }

  /** The recording of a point is complete. */
  archived(path: string, file: string): void {
    this.#hooks.notify({ event: 'archive', path, file });
  }

  /** A source of a point has failed. */
  sourceLost(path: string, source: string, reason: string): void {
    this.#hooks.notify({ event: 'source-lost', path, source, reason });
  }

  /** @throws Refusal if a hook refuses */
  mayPlay({ path, remoteAddress, user }: Candidate): Promise<void> {
    return this.#hooks.ask({ event: 'play', path, address: remoteAddress, user });
  }

  /** @throws Refusal if a hook refuses */
  mayPublish({ path, remoteAddress, user }: Candidate): Promise<void> {
    return this.#hooks.ask({ event: 'publish', path, address: remoteAddress, user });
  }

  /** Waits briefly until all events are told. */
  close(): Promise<void> {
    return this.#hooks.close();
  }
}
