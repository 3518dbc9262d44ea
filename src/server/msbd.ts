import { WmError } from '../errors.js';
import { NETSHOW } from '../msbd/messages.js';
import { MsbdServer } from '../msbd/server.js';
import { MSBD_PORT, type MsbdServerOptions } from '../msbd/server-options.js';

/** Where MSBD is spoken: a port, 0 for a free one; `auto` is 7007 unless another program has it; `none` is nowhere. */
export type MsbdPort = number | 'auto' | 'none';

export interface MsbdListenerOptions extends MsbdServerOptions {
  readonly port: MsbdPort;
  readonly host?: string | undefined;
}

/** The MSBD side of a server. */
export class MsbdListener {
  readonly #server: MsbdServer;
  readonly #port: number | undefined;

  private constructor(server: MsbdServer, port: number | undefined) {
    this.#server = server;
    this.#port = port;
  }

  /** @throws WmError WM_PORT_IN_USE, or WM_FAILED when it cannot listen there; with `auto` it then goes without */
  static async start({ port, host, ...options }: MsbdListenerOptions): Promise<MsbdListener> {
    const server = new MsbdServer(options);
    if (port === 'none') return new MsbdListener(server, undefined);
    try {
      return new MsbdListener(server, await server.listen(port === 'auto' ? MSBD_PORT : port, host));
    } catch (error) {
      if (port === 'auto' && error instanceof WmError) return new MsbdListener(server, undefined);
      throw error;
    }
  }

  /** For the `ports` of a server: nothing when it does not listen. */
  get ports(): { msbd?: number } {
    return this.#port === undefined ? {} : { msbd: this.#port };
  }

  get clients(): number {
    return this.#server.clients;
  }

  async close(): Promise<void> {
    if (this.#port !== undefined) await this.#server.close();
  }
}

/** A publishing point, as far as it matters here. */
interface NamedPoint {
  readonly path: string;
  readonly broadcast: { readonly live: boolean };
}

/**
 * The point that a client means: the one of that name. `NetShow` is what old clients say whatever they want (MS-MSBD 2.2.7): without
 * a point of that name it is the one that is live, unless there are several.
 *
 * @param channel szChannel, with or without a slash before it
 */
export function pointOfChannel<Point extends NamedPoint>(points: Iterable<Point>, channel: string): Point | undefined {
  const all = [...points];
  const path = channel.startsWith('/') ? channel : `/${channel}`;
  const named = all.find((point) => point.path === path);
  if (named || channel !== NETSHOW) return named;
  const live = all.filter(({ broadcast }) => broadcast.live);
  return live.length === 1 ? live[0] : undefined;
}
