import { LeadsElsewhere } from '../announce/elsewhere.js';
import { type ErrorCode, WmError } from '../errors.js';
import type { SourceFacts, Way } from './link.js';

/** With several ways: the maximum wait until one of them delivers, in ms. Each gets its share of what is left. */
const ROUND_WITHIN = 15_000;
/** The errors after which the next way may succeed. Refused or missing content is the same on every way. */
const PASSED_ON: ReadonlySet<ErrorCode> = new Set([
  'WM_UNREACHABLE',
  'WM_SERVER_GONE',
  'WM_PROTOCOL',
  'WM_HTTP_MALFORMED',
]);

/**
 * The ways of a source, and which of them is tried: the one that worked last before the others, in rounds that end when
 * all have failed.
 */
export class WayChoice<F extends SourceFacts> {
  // In order of preference.
  #ways: ReadonlyArray<Way<F>>;
  #current: Way<F>;
  /** The ways of this round that have failed, and why. */
  readonly #failures = new Map<Way<F>, WmError>();
  readonly #roundWithin: number;
  /** When the round has to be over. */
  #roundUntil = 0;

  /** @param ways in order of preference, at least one @param roundWithin in ms */
  constructor(ways: ReadonlyArray<Way<F>>, roundWithin = ROUND_WITHIN) {
    this.#ways = ways;
    this.#current = ways[0]!;
    this.#roundWithin = roundWithin;
  }

  get current(): Way<F> {
    return this.#current;
  }

  /** The current way is about to be opened. */
  begin(now: number): void {
    if (this.#failures.size === 0) this.#roundUntil = now + this.#roundWithin;
  }

  /** Returns a limit of the current way, in ms, cut so that the ways after it get as much of what is left. */
  shareOf(limit: number, now: number): number;
  shareOf(limit: number | undefined, now: number): number | undefined;
  shareOf(limit: number | undefined, now: number): number | undefined {
    if (limit === undefined || this.#ways.length < 2) return limit;
    const left = Math.max(this.#roundUntil - now, 0);
    return Math.min(limit, left / Math.max(this.#ways.length - this.#failures.size, 1));
  }

  /** The current way delivers packets: it is the first to be tried from now on. @returns true if there are others */
  works(): boolean {
    this.#failures.clear();
    if (this.#ways.length === 1) return false;
    this.#ways = [this.#current, ...this.#ways.filter((way) => way !== this.#current)];
    return true;
  }

  /**
   * Switches to the next way that has not failed, if the error may not occur there. The round ends when all have
   * failed.
   *
   * @param delivers true if the current way has delivered packets
   * @returns the way that failed; undefined if there is no other
   */
  failed(error: unknown, delivers: boolean): Way<F> | undefined {
    if (this.#ways.length < 2 || !(error instanceof WmError) || error instanceof LeadsElsewhere) return undefined;
    if (!PASSED_ON.has(error.code) && error.code !== 'WM_NO_INPUT') return undefined;
    // A way that worked is tried again first, unless it is one whose packets may be blocked while all else works.
    if (delivers && this.#current.firstPacketWithin === undefined) return undefined;
    const failed = this.#current;
    this.#failures.set(failed, error);
    const isMissing = [...this.#failures.values()].some(({ code }) => code === 'WM_NO_INPUT');
    const next = this.#ways.find((way) => !this.#failures.has(way) && (!isMissing || way.evenIfMissing));
    if (!next) return undefined;
    this.#current = next;
    return failed;
  }

  /** Returns the error of a way, or at the end of a round that of all ways; then the next round begins. */
  failureOf(error: unknown): unknown {
    const failure = (this.#failures.size > 1 && this.#error) || error;
    this.#failures.clear();
    this.#current = this.#ways[0]!;
    return failure;
  }

  /** Why all ways have failed: the most telling of their errors, with the reasons of the others. */
  get #error(): WmError | undefined {
    const errors = [...this.#failures.values()];
    const told = errors.find(({ code }) => code === 'WM_NO_INPUT') ?? errors.at(-1);
    if (!told || new Set(errors.map(({ message }) => message)).size === 1) return told;
    const reasons = [...this.#failures].map(([{ name }, { message }]) => `${name}: ${message}`);
    return new WmError(told.code, `No way works. ${reasons.join(' ')}`, { cause: told });
  }
}
