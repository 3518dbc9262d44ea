import { steadyNow } from '../clock.js';
import { Refusal } from '../refusal.js';

/** A request for a place among the players. */
export interface PlaceWish {
  /** The path of a publishing point, or of content. */
  readonly path: string;
  /** The bit rate of the content in bits per second; 0 if it is unknown. Default: 0. */
  readonly bitRate?: number | undefined;
  /** The limits of the path. Where the server has one, too, the lower one counts. */
  readonly limits?: PathLimits | undefined;
}

/** The limits of a path, such as a publishing point. @public */
export interface PathLimits {
  /** Players at a time. */
  readonly players?: number | undefined;
  /** The sum of the bit rates of all players, in bits per second. */
  readonly bandwidth?: number | undefined;
  /** The bit rate of one player, in bits per second. */
  readonly playerBandwidth?: number | undefined;
}

/** The limits of a server. */
export interface ServerLimits extends PathLimits {
  /** Players that may start in a second. */
  readonly startsPerSecond?: number | undefined;
}

/** A place among the players, released when the player leaves. */
export interface Ticket {
  /** Further calls have no effect. */
  release(): void;
}

/** Limits the number of players. Asynchronous, because other processes and hosts may have to be asked. */
export interface Limits {
  /** @throws Refusal `busy` if no place is left, `forbidden` if the bit rate is higher than any player may have */
  take(wish: PlaceWish): Promise<Ticket>;
}

/** The places and the bit rates that are taken. */
export interface Taken {
  players: number;
  /** Bits per second. */
  bandwidth: number;
}

/** What other hosts have given away of the same limits. */
export interface TakenElsewhere {
  /** The sum of all paths. */
  readonly all: Readonly<Taken>;
  of(path: string): Readonly<Taken>;
}

const NOTHING_TAKEN: TakenElsewhere = {
  all: { players: 0, bandwidth: 0 },
  of: () => ({ players: 0, bandwidth: 0 }),
};

/** The limits of one process. Players beyond a limit that was lowered stay. */
export class LocalLimits implements Limits {
  readonly #limits: () => ServerLimits;
  readonly #now: () => number;
  readonly #byPath = new Map<string, Taken>();
  /** Counts against the limits, too. */
  elsewhere: TakenElsewhere = NOTHING_TAKEN;
  readonly #all: Taken = { players: 0, bandwidth: 0 };
  /** The second in which players last started, and how many did. */
  #second = 0;
  #starts = 0;

  /**
   * @param limits of all paths together; a number is that of players, a function is asked each time
   * @param now a clock in ms
   */
  constructor(limits: number | (() => ServerLimits) = () => ({}), now: () => number = steadyNow) {
    this.#limits = typeof limits === 'function' ? limits : () => ({ players: limits });
    this.#now = now;
  }

  /** The number of places taken. */
  get taken(): number {
    return this.#all.players;
  }

  /** The places taken, by path. */
  get byPath(): ReadonlyMap<string, Readonly<Taken>> {
    return this.#byPath;
  }

  /** The places and bit rates of all paths. */
  get all(): Readonly<Taken> {
    return this.#all;
  }

  async take({ path, bitRate = 0, limits: own = {} }: PlaceWish): Promise<Ticket> {
    const server = this.#limits();
    const taken = this.#byPath.get(path) ?? { players: 0, bandwidth: 0 };
    const most = Math.min(own.playerBandwidth ?? Infinity, server.playerBandwidth ?? Infinity);
    if (bitRate > most) {
      const rates = `${inWords(bitRate)}; a player may have ${inWords(most)}`;
      throw new Refusal('forbidden', `${path} needs ${rates}.`);
    }
    const { elsewhere } = this;
    check(sumOf(this.#all, elsewhere.all), server, bitRate, 'the server');
    check(sumOf(taken, elsewhere.of(path)), own, bitRate, path);
    this.#countStart(server.startsPerSecond);
    this.#byPath.set(path, taken);
    const places = [taken, this.#all];
    for (const each of places) {
      each.players++;
      each.bandwidth += bitRate;
    }
    let released = false;
    return {
      release: () => {
        if (released) return;
        released = true;
        for (const each of places) {
          each.players--;
          each.bandwidth -= bitRate;
        }
        if (taken.players === 0) this.#byPath.delete(path);
      },
    };
  }

  #countStart(most: number | undefined): void {
    const second = Math.floor(this.#now() / 1000);
    if (second !== this.#second) this.#starts = 0;
    this.#second = second;
    if (most !== undefined && this.#starts >= most) {
      throw new Refusal('busy', `Too many players start at once; ${most} may in a second.`, { retryAfter: 1 });
    }
    this.#starts++;
  }
}

function sumOf(a: Readonly<Taken>, b: Readonly<Taken>): Taken {
  return { players: a.players + b.players, bandwidth: a.bandwidth + b.bandwidth };
}

function check({ players, bandwidth }: Taken, limits: PathLimits, bitRate: number, what: string): void {
  if (players >= (limits.players ?? Infinity)) {
    throw new Refusal('busy', `All ${limits.players} places of ${what} are taken.`);
  }
  if (bandwidth + bitRate > (limits.bandwidth ?? Infinity)) {
    throw new Refusal(
      'busy',
      `The players of ${what} already have the ${inWords(limits.bandwidth!)} that they may have.`,
    );
  }
}

function inWords(bitsPerSecond: number): string {
  return bitsPerSecond >= 1e6
    ? `${(bitsPerSecond / 1e6).toPrecision(3)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1e3)} kbit/s`;
}
