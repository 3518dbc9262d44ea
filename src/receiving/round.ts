import { WmError } from '../errors.js';
import type { SourceFacts, Way } from './link.js';

/** The failed ways of one round, and why each of them failed. */
export class Round<F extends SourceFacts> {
  readonly #failures = new Map<Way<F>, WmError>();

  /** Number of ways that have failed. */
  get size(): number {
    return this.#failures.size;
  }

  /** True if a way has said that there is no such content. */
  get isMissing(): boolean {
    return [...this.#failures.values()].some(({ code }) => code === 'WM_NO_INPUT');
  }

  has(way: Way<F>): boolean {
    return this.#failures.has(way);
  }

  failed(way: Way<F>, error: WmError): void {
    this.#failures.set(way, error);
  }

  clear(): void {
    this.#failures.clear();
  }

  /** Returns why all ways have failed: the most telling of their errors, with the reasons of the others. */
  get error(): WmError | undefined {
    const errors = [...this.#failures.values()];
    const told = errors.find(({ code }) => code === 'WM_NO_INPUT') ?? errors.at(-1);
    if (!told || new Set(errors.map(({ message }) => message)).size === 1) return told;
    const reasons = [...this.#failures].map(([{ name }, { message }]) => `${name}: ${message}`);
    return new WmError(told.code, `No way works. ${reasons.join(' ')}`, { cause: told });
  }
}
