import type { HttpServer } from '../../http/server.js';

/** Ports by protocol; protocols without a port are absent. @public */
export interface ServerPorts {
  readonly http?: number;
  readonly https?: number;
  readonly msbd?: number;
  /** MMSP over TCP and UDP. */
  readonly mms?: number;
  /** RTSP, of TCP. */
  readonly rtsp?: number;
  /** The administration, over HTTP. */
  readonly admin?: number;
}

/**
 * A protocol on its ports, for clients to connect to or groups to send to. `MediaServer` has an array of listeners;
 * another protocol is one more.
 */
export interface Listener {
  readonly name: string;
  /** The number of open connections. */
  readonly connections: number;
  /** Bytes sent to multicast groups, which belong to no session. */
  readonly groupBytes: number;
  /**
   * Starts to listen.
   *
   * @returns the ports that it listens on
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if it cannot listen for another reason; WM_CONFIG for an impossible
   *   setup
   */
  start(): Promise<ServerPorts>;
  /** Ends all sessions and stops; bounded in time. */
  close(): Promise<void>;
}

/** HTTP on a port, with or without TLS. */
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
