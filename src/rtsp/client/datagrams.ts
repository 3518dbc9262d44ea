import type { Socket } from 'node:dgram';
import { plainAddress } from '../../http/addresses.js';
import { bindUdp, sendableAddress } from '../../media/udp.js';
import { openRtpPorts, type RtpPorts } from '../rtp-ports.js';

/** Receives the datagrams of a session. */
export interface DatagramEvents {
  media(bytes: Buffer): void;
  /** A datagram to the port of the retransmission stream. */
  resent(bytes: Buffer): void;
}

/** Bytes that the operating system may hold: a burst must not overflow it. */
const RECEIVE_BUFFER = 4 * 1024 * 1024;

/**
 * The UDP ports of a client: one for all media, and a pair for retransmissions and RTCP (MS-RTSP 2.2.7.10.1). Only
 * datagrams from the address of the server's connection count.
 */
export class ClientDatagrams {
  readonly #media: Socket;
  readonly #rtx: RtpPorts;
  readonly #server: string;

  private constructor(media: Socket, rtx: RtpPorts, server: string, events: DatagramEvents) {
    this.#media = media;
    this.#rtx = rtx;
    this.#server = server;
    const receive = (socket: Socket, take: (bytes: Buffer) => void) => {
      socket.on('error', () => {});
      socket.on('message', (bytes, { address }) => {
        if (plainAddress(address).split('%', 1)[0] === server) take(bytes);
      });
      try {
        socket.setRecvBufferSize(RECEIVE_BUFFER);
      } catch {
        // The system's own size has to do.
      }
    };
    receive(media, (bytes) => events.media(bytes));
    receive(rtx.rtp, (bytes) => events.resent(bytes));
    receive(rtx.rtcp, () => {});
  }

  /**
   * Opens the ports.
   *
   * @param own the address of this end of the connection
   * @param server that of the other end
   * @throws WmError WM_PORT_IN_USE
   */
  static async open(own: string, server: string, events: DatagramEvents): Promise<ClientDatagrams> {
    // A link-local address needs its zone, which is unknown here.
    const host = /^fe80:/i.test(own) ? '::' : own;
    const media = await bindUdp(0, host);
    try {
      return new ClientDatagrams(media, await openRtpPorts([0], host), server, events);
    } catch (error) {
      media.close();
      throw error;
    }
  }

  get mediaPort(): number {
    return this.#media.address().port;
  }

  get rtxPorts(): readonly [rtp: number, rtcp: number] {
    return this.#rtx.ports;
  }

  /** Sends RTCP to the server. @param port of the server */
  sendControl(packet: Buffer, port: number): void {
    const { rtcp } = this.#rtx;
    rtcp.send(packet, port, sendableAddress(rtcp, this.#server), () => {});
  }

  close(): void {
    for (const socket of [this.#media, this.#rtx.rtp, this.#rtx.rtcp]) socket.close();
  }
}
