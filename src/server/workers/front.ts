import type { Socket as UdpSocket } from 'node:dgram';
import { createServer, type Server, type Socket } from 'node:net';
import { plainAddress } from '../../http/addresses.js';
import { BACKLOG, listenTcp } from '../../http/listen.js';
import { bindUdp, closeUdp } from '../../media/udp.js';
import type { ServerConfig } from '../config.js';
import type { LentPort, PortName, ServerPorts } from '../listeners/listener.js';
import type { WorkerConnections } from './connections.js';

/** Connections that wait for a worker, and how long, in ms. */
const MAX_WAITING = 1_000;
const WAITING_TIME = 10_000;

/** Where connections and datagrams go. */
export interface FrontOptions {
  readonly connections: WorkerConnections;
  /** Gives a connection to a worker. @returns false while no worker runs */
  readonly give: (socket: Socket, port: PortName, address: string) => boolean;
  /** Takes a datagram of the port of MMSP. */
  readonly onDatagram: (bytes: Buffer, address: string) => void;
  readonly onError: (error: unknown) => void;
}

/** A connection that waits for a worker. */
interface Waiting {
  readonly socket: Socket;
  readonly port: PortName;
  readonly address: string;
  readonly timer: NodeJS.Timeout;
}

/**
 * The ports of a server with workers. The main process listens, and gives every connection unread to a worker: so the
 * ports stay open whatever becomes of the workers, and a worker that is about to end gets no more connections.
 */
export class Front {
  readonly #options: FrontOptions;
  readonly #servers: Server[] = [];
  #waiting: Waiting[] = [];
  #udp: UdpSocket | undefined;

  constructor(options: FrontOptions) {
    this.#options = options;
  }

  /** The socket that MMSP sends from, if it has a port. */
  get udp(): UdpSocket | undefined {
    return this.#udp;
  }

  /** @throws WmError WM_PORT_IN_USE, or WM_FAILED if it cannot listen for another reason */
  async listen({ host, httpPort, tls, mms, rtsp }: ServerConfig): Promise<ServerPorts> {
    const http = await this.#listen('http', httpPort, host);
    const https = await this.#listen('https', tls?.port ?? 'none', host);
    const mmsPort = await this.#listen('mms', mms.port, host);
    if (mmsPort.mms !== undefined) {
      this.#udp = await bindUdp(mmsPort.mms, host);
      this.#udp.on('error', this.#options.onError);
      this.#udp.on('message', (bytes, { address }) => this.#options.onDatagram(bytes, plainAddress(address)));
    }
    return { ...http, ...https, ...mmsPort, ...(await this.#listen('rtsp', rtsp.port, host)) };
  }

  /**
   * Takes over ports on which other listeners of this process accept connections: those get no further ones. No client is
   * lost meanwhile, as both use the same socket.
   */
  adopt(lent: readonly LentPort[]): void {
    for (const { name, server: before } of lent) {
      const server = this.#createServer(name);
      this.#hearErrors(server);
      server.listen(before, BACKLOG);
    }
  }

  /** Gives the connections that waited for a worker. */
  flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { socket, port, address, timer } of waiting) {
      clearTimeout(timer);
      this.#pass(socket, port, address);
    }
  }

  /** Stops listening. */
  async close(): Promise<void> {
    for (const server of this.#servers) server.close();
    for (const { socket, timer } of this.#waiting) {
      clearTimeout(timer);
      socket.destroy();
    }
    this.#waiting = [];
    const udp = this.#udp;
    this.#udp = undefined;
    if (udp) await closeUdp(udp);
  }

  async #listen(name: PortName, port: number | 'none', host: string | undefined): Promise<ServerPorts> {
    if (port === 'none') return {};
    const server = this.#createServer(name);
    const taken = await listenTcp(server, { port, ...(host === undefined ? {} : { host }) });
    this.#hearErrors(server);
    return { [name]: taken };
  }

  #hearErrors(server: Server): void {
    const { onError, connections } = this.#options;
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EMFILE' || error.code === 'ENFILE') connections.starved();
      else onError(error);
    });
  }

  #createServer(name: PortName): Server {
    const server = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => this.#take(socket, name));
    this.#servers.push(server);
    return server;
  }

  #take(socket: Socket, port: PortName): void {
    const address = socket.remoteAddress;
    // Without an address, the client has gone before it was accepted.
    if (address !== undefined && this.#options.connections.admit(address)) this.#pass(socket, port, address);
    else socket.destroy();
  }

  #pass(socket: Socket, port: PortName, address: string): void {
    const { give, connections } = this.#options;
    if (give(socket, port, address)) return;
    socket.on('error', () => socket.destroy());
    const refuse = () => {
      socket.destroy();
      connections.release(address);
    };
    if (this.#waiting.length >= MAX_WAITING) {
      refuse();
      return;
    }
    const timer = setTimeout(() => {
      this.#waiting = this.#waiting.filter((each) => each.socket !== socket);
      refuse();
    }, WAITING_TIME);
    this.#waiting.push({ socket, port, address, timer });
  }
}
