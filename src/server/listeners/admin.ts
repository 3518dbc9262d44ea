import { createServer, type RequestListener, type Server } from 'node:http';
import { WmError } from '../../errors.js';
import { listenTcp } from '../../http/listen.js';
import type { AdminAppOptions } from '../admin/app.js';
import type { Listener, ServerPorts } from './listener.js';

/** The port for the administration: 0 picks a free one, `auto` is 8081 unless another program has it. */
export type AdminPort = number | 'auto' | 'none';

const ADMIN_PORT = 8081;

/** The port of the administration, and what it shows. */
export interface AdminListenerOptions extends AdminAppOptions {
  readonly port: AdminPort;
  readonly host: string;
}

/** The administration on a port of its own, which no player comes to. */
export class AdminListener implements Listener {
  readonly name = 'admin';
  /** Those of administrators do not count. */
  readonly connections = 0;
  readonly groupBytes = 0;
  readonly #options: AdminListenerOptions;
  #server: Server | undefined;
  #answerer: Promise<RequestListener> | undefined;

  constructor(options: AdminListenerOptions) {
    this.#options = options;
  }

  async start(): Promise<ServerPorts> {
    const { port, host } = this.#options;
    if (port === 'none') return {};
    const server = createServer({ requestTimeout: 30_000 }, (request, response) => {
      this.#answerer ??= this.#loadAnswerer();
      this.#answerer.then(
        (answer) => answer(request, response),
        (error: unknown) => {
          this.#options.onError(error);
          response.writeHead(500).end();
        },
      );
    });
    try {
      const admin = await listenTcp(server, { port: port === 'auto' ? ADMIN_PORT : port, host });
      this.#server = server;
      return { admin };
    } catch (error) {
      if (port === 'auto' && error instanceof WmError) return {};
      throw error;
    }
  }

  /** Loads what answers requests: a tenth of all code, which many servers never need. */
  async #loadAnswerer(): Promise<RequestListener> {
    const [{ getRequestListener }, { adminApp }] = await Promise.all([
      import('@hono/node-server'),
      import('../admin/app.js'),
    ]);
    return getRequestListener(adminApp(this.#options).fetch);
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (!server) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    // Watchers would keep their connections for ever.
    server.closeAllConnections();
    await closed;
  }
}
