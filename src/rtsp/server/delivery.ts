import { randomBytes, randomInt } from 'node:crypto';
import type { Field } from '../../framing/text-head.js';
import type { DatagramOutput } from '../../media/datagrams.js';
import { NOWHERE, oneUnit, type PlayerOutput, type WireBatch } from '../../media/wire.js';
import { RtspError } from '../messages/error.js';
import { type FecParameters, type Ports, type Transport, writeTransport } from '../messages/headers.js';
import { packetPair } from '../messages/rtp.js';
import { FecOutput, fecSsrcOf, grantedFec } from './fec-output.js';
import { BLOCK_SIZE } from './wire.js';

/** The payload type of packet pairs, as a real server numbers them. */
const RTX_PAYLOAD_TYPE = 105;

/** The server's part of deliveries. */
export interface DeliveryHost {
  /** The UDP ports for RTP and RTCP; undefined while there are none. */
  readonly ports: readonly [rtp: number, rtcp: number] | undefined;
  datagrams(address: string, port: number): DatagramOutput;
}

/**
 * How the packets of a session travel: over its connection, or as datagrams with a retransmission stream. All streams of
 * a session go the same way.
 */
export class Delivery {
  /** One for all players of a broadcast: they share the bytes of its packets. */
  readonly ssrc: number;
  /** Only its client knows it: NACKs name it. */
  readonly rtxSsrc = randomBytes(4).readUInt32BE();
  readonly #host: DeliveryHost;
  readonly #address: string;
  #transport: 'udp' | 'tcp' | undefined;
  #channel = 0;
  readonly #channels = new Set<number>();
  #media: DatagramOutput | undefined;
  #rtx: DatagramOutput | undefined;
  /** The media with FEC packets, once a SETUP asks for them. */
  #protected: FecOutput | undefined;
  #fec: FecParameters | undefined;
  // The number of the next packet of a packet pair.
  #pairSequence = randomInt(0x10000);
  // As in the first response to a SETUP of media: all packets travel so.
  #granted: Omit<Transport, 'unicast'> | undefined;

  /** @param address of the client's connection: datagrams go there and nowhere else */
  constructor(ssrc: number, address: string, host: DeliveryHost) {
    this.ssrc = ssrc;
    this.#address = address;
    this.#host = host;
  }

  /** Undefined before the first SETUP. */
  get transport(): 'udp' | 'tcp' | undefined {
    return this.#transport;
  }

  /** The interleaved channel of all packets; undefined by UDP. */
  get channel(): number | undefined {
    return this.#transport === 'udp' ? undefined : this.#channel;
  }

  /** Bytes of datagrams sent. */
  get sentBytes(): number {
    return (this.#media?.sentBytes ?? 0) + (this.#rtx?.sentBytes ?? 0);
  }

  /** True if the client can ask for packets again. */
  get hasRtx(): boolean {
    return this.#rtx !== undefined;
  }

  /** The transport of media, as the client was told. */
  get granted(): Omit<Transport, 'unicast'> | undefined {
    return this.#granted;
  }

  /** The FEC packets that the client has asked for. */
  get fec(): { readonly ssrc: number; readonly parameters: FecParameters } | undefined {
    return this.#fec && { ssrc: fecSsrcOf(this.ssrc), parameters: this.#fec };
  }

  /** The output for media. @param tcp that of the connection, if there is one */
  output(tcp: PlayerOutput | undefined): PlayerOutput {
    return (this.#transport === 'udp' ? (this.#protected ?? this.#media) : tcp) ?? NOWHERE;
  }

  /**
   * Answers a SETUP with the first transport that is possible.
   *
   * @param wishes in the client's order of preference
   * @param offersUdp true if datagrams to the address of the connection reach the client
   * @throws RtspError 461
   */
  setUp(wishes: readonly Transport[], isRtx: boolean, offersUdp: boolean): Field[] {
    const way = this.#choose(wishes, isRtx, offersUdp);
    return way.protocol === 'tcp' ? this.#setUpTcp(way) : this.#setUpUdp(way, isRtx);
  }

  /**
   * Answers a SETUP of FEC packets, which go where the media goes (MS-RTSP 2.2.6.11, 3.2.5.6.4).
   *
   * @param usual what is granted to a client that does not say what it wants
   * @throws RtspError 461 unless datagrams are possible
   */
  setUpFec(wishes: readonly Transport[], usual: FecParameters, offersUdp: boolean): Field[] {
    const { clientPort, fec = usual } = this.#choose(wishes, true, offersUdp);
    const granted = grantedFec(fec);
    this.#setUpUdp({ protocol: 'udp', unicast: true, clientPort }, false);
    this.#fec = granted;
    this.#protected = new FecOutput(this.#media!, granted);
    return [
      ['Transport', writeTransport({ ...this.#udpTransport(clientPort!), ssrc: fecSsrcOf(this.ssrc), fec: granted })],
    ];
  }

  /** Sends no more FEC packets. */
  closeFec(): void {
    this.#fec = undefined;
    this.#protected = undefined;
  }

  /** Ends the retransmission stream. */
  closeRtx(): void {
    this.#rtx?.close();
    this.#rtx = undefined;
  }

  /** Sends units again. */
  repeat(batch: WireBatch): void {
    if (batch.ends.length > 0) this.#rtx?.repeat(batch);
  }

  /**
   * Sends three RTP packets of random bytes on the retransmission stream (MS-RTSP 3.2.5.7).
   *
   * @throws RtspError 455 without that stream
   */
  sendPacketPair(variableSize: boolean): void {
    if (!this.#rtx) throw new RtspError(455, 'The retransmission stream is not set up.');
    const head = { payloadType: RTX_PAYLOAD_TYPE, ssrc: this.rtxSsrc, firstSequence: this.#pairSequence };
    this.#pairSequence = (this.#pairSequence + 3) & 0xffff;
    for (const packet of packetPair(head, variableSize, randomBytes)) this.#rtx.put(oneUnit(packet));
  }

  close(): void {
    this.#media?.close();
    this.#rtx?.close();
  }

  /** @param needsUdp for what is sent in datagrams only */
  #choose(wishes: readonly Transport[], needsUdp: boolean, offersUdp: boolean): Transport {
    const way = wishes.find((wish) => this.#fits(wish, needsUdp, offersUdp));
    if (!way) throw new RtspError(461, 'None of these transports is possible here.');
    return way;
  }

  #fits({ protocol, unicast, clientPort }: Transport, needsUdp: boolean, offersUdp: boolean): boolean {
    if (this.#transport !== undefined && this.#transport !== protocol) return false;
    if (protocol === 'tcp') return !needsUdp;
    return unicast && clientPort !== undefined && this.#host.ports !== undefined && offersUdp;
  }

  #setUpTcp({ interleaved }: Transport): Field[] {
    let [first, second] = interleaved ?? [undefined];
    if (first === undefined) {
      first = 0;
      while (this.#channels.has(first) && first < 254) first += 2;
      second = first + 1;
    }
    if (this.#transport === undefined) this.#channel = first;
    this.#transport = 'tcp';
    this.#channels.add(first);
    const channels: Ports = [first, second];
    const granted = { protocol: 'tcp', interleaved: channels, ssrc: this.ssrc } as const;
    this.#granted ??= granted;
    return [['Transport', writeTransport(granted)]];
  }

  #setUpUdp({ clientPort }: Transport, isRtx: boolean): Field[] {
    const [port] = clientPort!;
    this.#transport = 'udp';
    if (isRtx) {
      this.#rtx?.close();
      this.#rtx = this.#host.datagrams(this.#address, port);
      return [['Transport', writeTransport({ ...this.#udpTransport(clientPort!), ssrc: this.rtxSsrc })]];
    }
    this.#media ??= this.#host.datagrams(this.#address, port);
    const granted = { ...this.#udpTransport(clientPort!), ssrc: this.ssrc };
    this.#granted ??= granted;
    return [
      ['Blocksize', `${BLOCK_SIZE}`],
      ['Transport', writeTransport(granted)],
    ];
  }

  #udpTransport(clientPort: Ports) {
    const [rtp, rtcp] = this.#host.ports!;
    const serverPort: Ports = clientPort[1] === undefined ? [rtp] : [rtp, rtcp];
    return { protocol: 'udp', serverPort, clientPort } as const;
  }
}
