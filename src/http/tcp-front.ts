import { createServer, type Server, type Socket } from 'node:net';
import type { Admission } from './admission.js';
import { listenTcp } from './listen.js';
import { ProxyGate, type ProxyOptions } from './peer.js';

/** What a TCP port does with its connections. */
export interface TcpFrontOptions {
  /** Takes each connection that is admitted. @param address that of the socket */
  readonly accept: (socket: Socket, address: string) => void;
  /** Decides which connections to accept; default: all. */
  readonly admission?: Admission | undefined;
  /** Proxies that name their clients by the PROXY protocol. */
  readonly proxies?: ProxyOptions | undefined;
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Receives each connection before `accept`. */
  readonly onSocket?: ((socket: Socket) => void) | undefined;
}

/** The TCP port of a protocol that is not HTTP: admits connections, counts them, and ends them in bounded time. */
export class TcpFront {
  readonly #options: TcpFrontOptions;
  readonly #server: Server;
  readonly #gate: ProxyGate | undefined;
  #closing = false;
  readonly #sockets = new Set<Socket>();

  constructor(options: TcpFrontOptions) {
    this.#options = options;
    const accept = (socket: Socket) => this.#accept(socket);
    this.#gate = options.proxies && new ProxyGate(options.proxies, accept);
    this.#server = createServer({ noDelay: true }, (socket) => this.take(socket));
  }

  /** Takes a connection that another process has accepted, as if it had been accepted here. */
  take(socket: Socket): void {
    if (this.#closing) socket.destroy();
    else if (this.#gate) this.#gate.take(socket);
    else this.#accept(socket);
  }

  /** What accepts the connections of the port. */
  get listener(): Server {
    return this.#server;
  }

  /** The number of open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /**
   * Starts to listen.
   *
   * @param port 0 takes a free one
   * @param host the address to listen on; without it, all IPv4 and IPv6 addresses of the host
   * @param more opens what listens beside it, such as a UDP port; if that fails, nothing listens
   * @returns the port
   * @throws WmError WM_PORT_IN_USE, or WM_FAILED if the address cannot be used; the error of `more`
   */
  async listen(port: number, host: string | undefined, more: (port: number) => Promise<void>): Promise<number> {
    const taken = await listenTcp(this.#server, { port, ...(host === undefined ? {} : { host }) });
    try {
      await more(taken);
    } catch (error) {
      this.#server.close();
      throw error;
    }
    this.#server.on('error', (error) => this.#options.onError?.(error));
    return taken;
  }

  /**
   * Accepts no more connections, and waits until all are closed.
   *
   * @param end asks the clients to go
   * @param grace the time after which the remaining connections are cut, in ms
   */
  async close(grace: number, end: () => void): Promise<void> {
    this.#closing = true;
    this.#gate?.close();
    const closed = [...this.#sockets].map(
      (socket) => new Promise<void>((resolve) => void socket.once('close', () => resolve())),
    );
    if (this.#server.listening) closed.push(new Promise((resolve) => void this.#server.close(() => resolve())));
    end();
    const timer = setTimeout(() => {
      for (const socket of this.#sockets) socket.destroy();
    }, grace);
    await Promise.all(closed);
    clearTimeout(timer);
  }

  #accept(socket: Socket): void {
    const { admission, accept, onSocket } = this.#options;
    const address = socket.remoteAddress;
    // The client closed the connection before it was accepted.
    if (address === undefined || (admission && !admission.admit(address))) {
      socket.destroy();
      return;
    }
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      admission?.release(address);
    });
    onSocket?.(socket);
    accept(socket, address);
  }
}
