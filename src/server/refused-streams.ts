import { steadyNow } from '../clock.js';
import { printable } from '../errors.js';
import { plainAddress } from '../http/addresses.js';
import type { Exchange } from '../http/exchange.js';

// Whoever tries, tries again every few seconds.
const INTERVAL = 60_000;
const MAX_REMEMBERED = 100;

/** Tells the operator of those who send a stream in a way that is not taken, as `ffmpeg -f asf http://…` does, and what to do instead. */
export class RefusedStreams {
  readonly #tell: (message: string) => void;
  /** When it was told last, by path; the oldest first. */
  readonly #told = new Map<string, number>();

  constructor(tell: (message: string) => void) {
    this.#tell = tell;
  }

  /** A PUT, or a POST that is no push. Says so at most once a minute for each path, and for {@link MAX_REMEMBERED} paths. */
  refused(exchange: Exchange, path: string): void {
    const now = steadyNow();
    for (const [known, at] of this.#told) {
      if (now - at < INTERVAL) break;
      this.#told.delete(known);
    }
    if (this.#told.has(path) || this.#told.size >= MAX_REMEMBERED) return;
    this.#told.set(path, now);
    const { method, headers } = exchange.request;
    const product = headers.get('User-Agent');
    const who = `${plainAddress(exchange.remoteAddress)}${product === undefined ? '' : ` (${printable(product, 60)})`}`;
    const url = `${exchange.secure ? 'https' : 'http'}://${exchange.host}${path}`;
    this.#tell(
      `${who} sends something to ${path} by ${printable(method, 20)}, which is no push and is not taken. ` +
        `Push with wmpush, also what ffmpeg makes: ffmpeg … -f asf - | wmpush --copy -i - ${printable(url, 200)}`,
    );
  }
}
