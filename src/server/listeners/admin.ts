import { createServer, type Server } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { WmError } from '../../errors.js';
import { listenTcp } from '../../http/listen.js';
import { type AdminAppOptions, adminApp } from '../admin/app.js';
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

  constructor(options: AdminListenerOptions) {
    this.#options = options;
  }

  async start(): Promise<ServerPorts> {
    const { port, host } = this.#options;
    if (port === 'none') return {};
    const app = adminApp(this.#options);
    const server = createServer({ requestTimeout: 30_000 }, getRequestListener(app.fetch));
    try {
      const admin = await listenTcp(server, { port: port === 'auto' ? ADMIN_PORT : port, host });
      this.#server = server;
      return { admin };
    } catch (error) {
      if (port === 'auto' && error instanceof WmError) return {};
      throw error;
    }
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
