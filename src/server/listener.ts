import type { HttpServer } from '../http/server.js';

/** Ports by protocol; those that are not listened on are left out. */
export interface ServerPorts {
  readonly http?: number;
  readonly https?: number;
  readonly msbd?: number;
  /** MMSP, of TCP and UDP. */
  readonly mms?: number;
}

/** A way in, or out to groups: a protocol on its ports. `MediaServer` has an array of them; another protocol is one more. */
export interface Listener {
  readonly name: string;
  /** Connections that are open. */
  readonly connections: number;
  /** Bytes that were sent to multicast groups, which are no session's. */
  readonly groupBytes: number;
  /**
   * Starts to listen.
   *
   * @returns the ports that are listened on
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED when it cannot listen there; WM_CONFIG for what cannot be set up
   */
  start(): Promise<ServerPorts>;
  /** Tells clients that it is over and stops; bounded in time. */
  close(): Promise<void>;
}

/** HTTP on a port, plain or under TLS. */
export class HttpListener implements Listener {
  readonly name: 'http' | 'https';
  readonly groupBytes = 0;
  readonly #server: HttpServer;
  readonly #port: number;
  readonly #host: string | undefined;

  constructor(
    name: 'http' | 'https',
    server: HttpServer,
    place: { readonly port: number; readonly host?: string | undefined },
  ) {
    this.name = name;
    this.#server = server;
    this.#port = place.port;
    this.#host = place.host;
  }

  get connections(): number {
    return this.#server.connections;
  }

  async start(): Promise<ServerPorts> {
    return { [this.name]: await this.#server.listen(this.#port, this.#host) };
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}
