import type { ContentInfoClient } from '../wmsp/client/content-info.js';

interface Idle {
  readonly client: ContentInfoClient;
  readonly timer: NodeJS.Timeout;
}

/** An idle connection is closed after this time, in ms: before servers do. */
const KEPT = 15_000;
/** Idle connections for each origin, and for all of them. */
const MAX_OF_ORIGIN = 8;
const MAX_IDLE = 256;

/**
 * Connections to origins that wait for the next question. Only questions without credentials use them: what an origin
 * remembers of a connection must never count for somebody else.
 */
export class QuestionPool {
  readonly #idle = new Map<string, Idle[]>();
  #size = 0;

  /** Idle connections. */
  get size(): number {
    return this.#size;
  }

  /** Returns a connection to an origin that can take a question; undefined without one. It is out of the pool then. */
  take(origin: string): ContentInfoClient | undefined {
    const idle = this.#idle.get(origin);
    for (let last = idle?.pop(); last; last = idle?.pop()) {
      this.#size--;
      clearTimeout(last.timer);
      if (idle?.length === 0) this.#idle.delete(origin);
      if (last.client.open) return last.client;
      last.client.close();
    }
    return undefined;
  }

  /** Puts a connection back; it is closed if it cannot be used again. */
  give(origin: string, client: ContentInfoClient): void {
    const idle = this.#idle.get(origin) ?? [];
    if (!client.open || idle.length >= MAX_OF_ORIGIN || this.#size >= MAX_IDLE) {
      client.close();
      return;
    }
    const timer = setTimeout(() => this.#drop(origin, client), KEPT);
    timer.unref();
    idle.push({ client, timer });
    this.#idle.set(origin, idle);
    this.#size++;
  }

  close(): void {
    for (const origin of [...this.#idle.keys()]) {
      for (const { client } of [...(this.#idle.get(origin) ?? [])]) this.#drop(origin, client);
    }
  }

  #drop(origin: string, client: ContentInfoClient): void {
    const idle = this.#idle.get(origin) ?? [];
    const index = idle.findIndex((each) => each.client === client);
    if (index < 0) return;
    clearTimeout(idle[index]!.timer);
    idle.splice(index, 1);
    this.#size--;
    if (idle.length === 0) this.#idle.delete(origin);
    client.close();
  }
}
