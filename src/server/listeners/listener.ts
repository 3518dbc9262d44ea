import type { Socket as UdpSocket } from 'node:dgram';
import type { Server, Socket } from 'node:net';
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
  /** Returns the port that another process can serve from now on; undefined without one. */
  lend?(): LentPort | undefined;
}

/** A port whose connections may go to another process, while this one keeps its sessions. */
export interface LentPort {
  readonly name: PortName;
  /** What accepts its connections. */
  readonly server: Server;
  /** Bound to the same port, for datagrams. */
  readonly udp?: UdpSocket | undefined;
  /** Takes the connection of a client that comes back to its session here. */
  readonly take: (socket: Socket) => void;
  /** Takes a datagram about a client that is connected here. */
  readonly takeDatagram?: (bytes: Buffer, address: string) => void;
}

/** The ports that players of unicast protocols connect to. */
export type PortName = 'http' | 'https' | 'mms' | 'rtsp';

/** What a listener gets from the process that has its port, instead of listening itself. */
export interface Given {
  /** The ports that the process listens on. */
  readonly ports: ServerPorts;
  /** Bound to the port of MMSP. */
  readonly udp: UdpSocket | undefined;
  /** Brings the connections of a port from now on. */
  serve(port: PortName, take: (socket: Socket) => void): void;
  /** Brings datagrams of MMSP that other processes received. */
  serveDatagrams(take: (bytes: Buffer, address: string) => void): void;
  /** Passes on a datagram about a client of MMSP that is not connected here. */
  strangersDatagram(clientId: number, bytes: Buffer, address: string): void;
  /** Returns the ports for RTP to try, from the configured one. */
  rtpPorts(first: number | undefined): readonly number[];
}

/** HTTP on a port, with or without TLS. */
export class HttpListener implements Listener {
  readonly name: 'http' | 'https';
  readonly groupBytes = 0;
  readonly #server: HttpServer;
  readonly #port: number;
  readonly #host: string | undefined;
  readonly #given: Given | undefined;

  constructor(
    name: 'http' | 'https',
    server: HttpServer,
    place: { readonly port: number; readonly host?: string | undefined; readonly given?: Given | undefined },
  ) {
    this.name = name;
    this.#server = server;
    this.#port = place.port;
    this.#host = place.host;
    this.#given = place.given;
  }

  get connections(): number {
    return this.#server.connections;
  }

  async start(): Promise<ServerPorts> {
    if (this.#given) {
      this.#given.serve(this.name, (socket) => this.#server.take(socket));
      return { [this.name]: this.#given.ports[this.name] ?? this.#port };
    }
    return { [this.name]: await this.#server.listen(this.#port, this.#host) };
  }

  close(): Promise<void> {
    return this.#server.close();
  }

  lend(): LentPort {
    return { name: this.name, server: this.#server.listener, take: (socket) => this.#server.take(socket) };
  }
}
