import { Refusal } from '../refusal.js';

/** A request for a place among the players. */
export interface PlaceWish {
  /** The path of a publishing point, or of content. */
  readonly path: string;
  /** The maximum number of players of the path at a time; default: unlimited. */
  readonly maxPlayers?: number | undefined;
}

/** A place among the players, released when the player leaves. */
export interface Ticket {
  /** Further calls have no effect. */
  release(): void;
}

/** Limits the number of players. Asynchronous, because other processes and hosts may have to be asked. */
export interface Limits {
  /** @throws Refusal `busy` if no place is left */
  take(wish: PlaceWish): Promise<Ticket>;
}

/** The limits of one process. */
export class LocalLimits implements Limits {
  readonly #maxPlayers: () => number;
  readonly #taken = new Map<string, number>();
  #total = 0;

  /** @param maxPlayers of all paths together; a function if it can change. Players beyond a smaller number stay. */
  constructor(maxPlayers: number | (() => number) = Number.POSITIVE_INFINITY) {
    this.#maxPlayers = typeof maxPlayers === 'function' ? maxPlayers : () => maxPlayers;
  }

  /** The number of places taken. */
  get taken(): number {
    return this.#total;
  }

  async take({ path, maxPlayers = Number.POSITIVE_INFINITY }: PlaceWish): Promise<Ticket> {
    const taken = this.#taken.get(path) ?? 0;
    const most = this.#maxPlayers();
    if (this.#total >= most) throw new Refusal('busy', `All ${most} places of the server are taken.`);
    if (taken >= maxPlayers) throw new Refusal('busy', `All ${maxPlayers} places of ${path} are taken.`);
    this.#taken.set(path, taken + 1);
    this.#total++;
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        this.#total--;
        const left = this.#taken.get(path)! - 1;
        if (left === 0) this.#taken.delete(path);
        else this.#taken.set(path, left);
      },
    };
  }
}
