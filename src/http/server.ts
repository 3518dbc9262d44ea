import { createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:tls';
import { messageOf, WmError } from '../errors.js';
import { Admission } from './admission.js';
import type { Exchange } from './exchange.js';
import { listenTcp } from './listen.js';
import { ProxyGate, type ProxyOptions, peerOf } from './peer.js';
import { type ConnectionOptions, ServerConnection } from './server-connection.js';

/** A server's identity for TLS, as PEM texts; `cert` is the whole chain, its own certificate first. */
export interface TlsIdentity {
  readonly key: string | Buffer;
  readonly cert: string | Buffer;
}

/** The handler of requests, and limits of connections. */
export interface HttpServerOptions extends Partial<Omit<ConnectionOptions, 'onClose'>> {
  /** Called for each request as soon as its head is complete; the body may still be arriving. */
  readonly onRequest: (exchange: Exchange) => void;
  /** Decides which connections are accepted; several servers may share one. Default: limited by `maxConnections`. */
  readonly admission?: Admission;
  /** Default 20000; for a server without its own `admission`. */
  readonly maxConnections?: number;
  /** Reports refused connections, for a server without its own `admission`. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Peers that announce their clients by the PROXY protocol; default none. */
  readonly proxies?: ProxyOptions | undefined;
  /** Receives each connection before its first request. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
  /** Speak only TLS 1.2 and 1.3 on this port. */
  readonly tls?: TlsIdentity;
}

const DEFAULTS = {
  headTimeout: 20_000,
  idleTimeout: 150_000,
  writeTimeout: 30_000,
  // Paused players stop reading; they are tolerated for a while.
  stallTimeout: 20 * 60_000,
};
const MAX_CONNECTIONS = 20_000;
const SWEEP_INTERVAL = 1_000;

/**
 * An HTTP/1.0 and 1.1 server for long streams in both directions.
 *
 * The protocols here need what node:http hides or forbids: answers to later requests while an earlier response is
 * streaming, refusals in the middle of a body, and half the memory per connection (figures in docs/architecture.md).
 * One sweep a second replaces timers per connection.
 */
export class HttpServer {
  readonly #options: ConnectionOptions & Pick<HttpServerOptions, 'onError' | 'onSocket'>;
  readonly #admission: Admission;
  readonly #server: Server;
  readonly #tls: TlsServer | undefined;
  readonly #gate: ProxyGate | undefined;
  readonly #connections = new Set<ServerConnection>();
  // Sockets whose TLS handshake is not complete.
  readonly #handshaking = new Set<Socket>();
  readonly #taken: (socket: Socket) => void;
  #sweeper: NodeJS.Timeout | undefined;

  /** @throws WmError WM_CONFIG if the key or the certificate of `tls` is unusable, or they do not match */
  constructor(options: HttpServerOptions) {
    const onClose = (connection: ServerConnection) => this.#closed(connection);
    this.#options = { ...DEFAULTS, ...options, onClose };
    const { maxConnections: connections = MAX_CONNECTIONS, onWarning } = options;
    this.#admission = options.admission ?? new Admission({ connections, onWarning });
    const { tls, proxies } = options;
    this.#tls = tls && this.#tlsServer(tls);
    const take = (socket: Socket) => {
      if (this.#tls) this.#tls.emit('connection', socket);
      else if (this.#admit(socket)) this.#accept(socket);
    };
    this.#taken = take;
    this.#gate = proxies && new ProxyGate(proxies, take);
    if (this.#tls && !this.#gate) this.#server = this.#tls;
    else
      this.#server = createServer({ noDelay: true }, (socket) => (this.#gate ? this.#gate.take(socket) : take(socket)));
  }

  get connections(): number {
    return this.#connections.size;
  }

  /** What accepts the connections of the port. */
  get listener(): Server {
    return this.#server;
  }

  /**
   * Replaces the certificate for new connections; does nothing on a server without TLS.
   * @throws WmError WM_CONFIG if it is unusable; the previous one stays
   */
  renewTls(identity: TlsIdentity): void {
    withTls(() => this.#tls?.setSecureContext(tlsContext(identity)));
  }

  /**
   * Starts to listen.
   * @param port 0 for a free port
   * @param host default: all addresses of the host, IPv4 and IPv6
   * @returns the port
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if the address cannot be used
   */
  async listen(port: number, host?: string): Promise<number> {
    const taken = await listenTcp(this.#server, { port, ...(host === undefined ? {} : { host }) });
    this.#server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EMFILE' || error.code === 'ENFILE') this.#admission.starved();
      else this.#options.onError?.(error);
    });
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL);
    return taken;
  }

  /** Takes a connection that another process has accepted, as if it had been accepted here. */
  take(socket: Socket): void {
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_INTERVAL);
    if (this.#gate) this.#gate.take(socket);
    else this.#taken(socket);
  }

  /** Stops listening, waits at most `graceMilliseconds` for pending data to be sent, then closes all connections. */
  async close(graceMilliseconds = 1_000): Promise<void> {
    // Connections that it did not accept itself keep a server from closing no longer than others.
    const closed = [...this.#connections].map(
      ({ socket }) => new Promise<void>((resolve) => void socket.once('close', () => resolve())),
    );
    closed.push(new Promise((resolve) => void this.#server.close(() => resolve())));
    for (const connection of this.#connections) connection.finish();
    for (const socket of this.#handshaking) socket.destroy();
    this.#gate?.close();
    const timer = setTimeout(() => {
      for (const connection of this.#connections) connection.socket.destroy();
    }, graceMilliseconds);
    await Promise.all(closed);
    clearTimeout(timer);
    clearInterval(this.#sweeper);
  }

  #tlsServer(identity: TlsIdentity): TlsServer {
    const options = { ...tlsContext(identity), noDelay: true, handshakeTimeout: this.#options.headTimeout };
    const server = withTls(() => createTlsServer(options, (socket) => this.#accept(socket)));
    server.prependListener('connection', (socket) => {
      if (!this.#admit(socket)) return;
      this.#handshaking.add(socket);
      const { remoteAddress } = peerOf(socket);
      socket.once('close', () => {
        this.#handshaking.delete(socket);
        this.#admission.release(remoteAddress);
      });
    });
    return server;
  }

  /** @returns false for a connection that was refused; one that was admitted has to be released when it closes */
  #admit(socket: Socket): boolean {
    const { remoteAddress: address, passedOn } = peerOf(socket);
    // The process that passes its bytes on has counted the client's own.
    if (!passedOn && !this.#admission.admit(address)) {
      socket.destroy();
      return false;
    }
    return true;
  }

  #accept(socket: Socket): void {
    this.#options.onSocket?.(socket);
    const connection = new ServerConnection(socket, this.#options);
    this.#connections.add(connection);
  }

  #closed(connection: ServerConnection): void {
    this.#connections.delete(connection);
    // With TLS the connection below it was admitted.
    if (!this.#tls && !peerOf(connection.socket).passedOn) this.#admission.release(connection.remoteAddress);
  }

  #sweep(): void {
    const now = Date.now();
    this.#admission.sweep();
    for (const connection of this.#connections) connection.sweep(now);
  }
}

function tlsContext({ key, cert }: TlsIdentity) {
  return { key, cert, minVersion: 'TLSv1.2' } as const;
}

function withTls<T>(use: () => T): T {
  try {
    return use();
  } catch (error) {
    throw new WmError('WM_CONFIG', `The key and the certificate cannot be used: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}
