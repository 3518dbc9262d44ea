/** The figures of sessions with something in common. @public */
export interface LogFigures {
  sessions: number;
  /** Lines of log files: a session may have several, for example one for each playlist entry. */
  lines: number;
  /** What was viewed, in s. */
  seconds: number;
  /** Bytes sent by the server, or those that clients received where the server did not count. */
  bytes: number;
  /** How often playback stopped to wait for data, and for how many s. */
  rebuffers: number;
  bufferingSeconds: number;
  /** Lines with at least one such stop. */
  rebuffered: number;
  /** Packets received, packets never received, and packets lost on the way but recovered. */
  packets: number;
  lost: number;
  recovered: number;
  /** The sum of c-quality, and the number of lines that have it. */
  quality: number;
  qualities: number;
  /** Lines of clients that were refused or failed: status 400 and above, except 408. */
  errors: number;
  /** Lines that the server wrote because the client sent no log: status 408. */
  unreported: number;
  /** Lines of clients that reconnected: status 210. */
  reconnects: number;
}

/** Returns figures without anything. */
export function noFigures(): LogFigures {
  return {
    sessions: 0,
    lines: 0,
    seconds: 0,
    bytes: 0,
    rebuffers: 0,
    bufferingSeconds: 0,
    rebuffered: 0,
    packets: 0,
    lost: 0,
    recovered: 0,
    quality: 0,
    qualities: 0,
    errors: 0,
    unreported: 0,
    reconnects: 0,
  };
}

/** Adds figures to a sum. */
export function addFigures(sum: LogFigures, more: LogFigures): void {
  sum.sessions += more.sessions;
  sum.lines += more.lines;
  sum.seconds += more.seconds;
  sum.bytes += more.bytes;
  sum.rebuffers += more.rebuffers;
  sum.bufferingSeconds += more.bufferingSeconds;
  sum.rebuffered += more.rebuffered;
  sum.packets += more.packets;
  sum.lost += more.lost;
  sum.recovered += more.recovered;
  sum.quality += more.quality;
  sum.qualities += more.qualities;
  sum.errors += more.errors;
  sum.unreported += more.unreported;
  sum.reconnects += more.reconnects;
}

/** The number of groups that are kept apart; memory does not grow with the number of clients. */
const MAX_GROUPS = 20_000;

/** Figures by a key, such as the content. Of very many keys those with the least are put together. */
export class FigureGroups {
  readonly #groups = new Map<string, LogFigures>();
  readonly #rest = noFigures();
  #merged = 0;

  /** The keys that were put together; those may be counted more than once. */
  get merged(): number {
    return this.#merged;
  }

  /** The number of keys. */
  get size(): number {
    return this.#groups.size + this.#merged;
  }

  add(key: string, figures: LogFigures): void {
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MAX_GROUPS) this.#shrink();
      group = noFigures();
      this.#groups.set(key, group);
    }
    addFigures(group, figures);
  }

  /** Returns the groups with the most sessions, and the sum of the others, of which there may be none. */
  top(most: number): { readonly top: ReadonlyArray<readonly [string, LogFigures]>; readonly rest: LogFigures } {
    const all = [...this.#groups].sort(([one, a], [other, b]) => weight(b) - weight(a) || (one < other ? -1 : 1));
    const rest = { ...this.#rest };
    for (const [, figures] of all.slice(most)) addFigures(rest, figures);
    return { top: all.slice(0, most), rest };
  }

  /** Returns all groups in the order of their keys, as for days. */
  sorted(): Array<readonly [string, LogFigures]> {
    return [...this.#groups].sort(([one], [other]) => (one < other ? -1 : 1));
  }

  #shrink(): void {
    const all = [...this.#groups].sort(([, a], [, b]) => weight(a) - weight(b));
    for (const [key, figures] of all.slice(0, MAX_GROUPS / 2)) {
      addFigures(this.#rest, figures);
      this.#groups.delete(key);
      this.#merged++;
    }
  }
}

function weight({ sessions, lines }: LogFigures): number {
  return sessions * 1e6 + lines;
}
