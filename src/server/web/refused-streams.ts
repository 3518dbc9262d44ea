import { steadyNow } from '../../clock.js';
import { printable } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange } from '../../http/exchange.js';

// Refused encoders retry every few seconds.
const INTERVAL = 60_000;
const MAX_REMEMBERED = 100;

/**
 * Warns the operator about streams sent in an unsupported way, such as `ffmpeg -f asf http://…`, and suggests what to
 * do instead.
 */
export class RefusedStreams {
  readonly #warn: (message: string) => void;
  /** The time of the last warning by path, oldest first. */
  readonly #reported = new Map<string, number>();

  constructor(warn: (message: string) => void) {
    this.#warn = warn;
  }

  /**
   * Reports a PUT, or a POST that is not a push: at most once a minute for each path, and for {@link MAX_REMEMBERED}
   * paths.
   */
  refused(exchange: Exchange, path: string): void {
    const now = steadyNow();
    for (const [known, at] of this.#reported) {
      if (now - at < INTERVAL) break;
      this.#reported.delete(known);
    }
    if (this.#reported.has(path) || this.#reported.size >= MAX_REMEMBERED) return;
    this.#reported.set(path, now);
    const { method, headers } = exchange.request;
    const product = headers.get('User-Agent');
    const who = `${plainAddress(exchange.remoteAddress)}${product === undefined ? '' : ` (${printable(product, 60)})`}`;
    const url = `${exchange.secure ? 'https' : 'http'}://${exchange.host}${path}`;
    this.#warn(
      `${who} sends a stream to ${path} with ${printable(method, 20)}, which is not a push and is refused. ` +
        `Push with wmpush, also what ffmpeg makes: ffmpeg … -f asf - | wmpush --copy -i - ${printable(url, 200)}`,
    );
  }
}
