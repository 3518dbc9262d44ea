import { WmError } from '../../errors.js';
import type { Field } from '../../framing/text-head.js';
import type { Losses } from '../../receiving/link.js';
import type { LossLogFields } from '../../wmlog/client-log.js';
import { RtspError } from '../messages/error.js';
import { type EndReason, type RtpInfo, readTransports, type Transport } from '../messages/headers.js';
import { type RtpPacket, readRtp } from '../messages/rtp.js';
import type { Sdp, SdpMedia } from '../messages/sdp.js';
import { type Arrival, Arrivals } from './arrivals.js';
import { ClientDatagrams } from './datagrams.js';
import type { RtspDialog } from './dialog.js';
import { DEFAULT_LOSS_WINDOW } from './options.js';
import type { RtspPeer } from './peer.js';
import { RtpReception } from './reception.js';
import {
  fecTransport,
  fecUrl,
  grantedTransport,
  numbersBySsrc,
  rtxMedia,
  type SetUpStream,
  tcpTransport,
  udpTransport,
  urlOf,
} from './streams.js';

/** A stream of an SDP, and its URL. */
export interface StreamAt {
  readonly media: SdpMedia;
  readonly url: string;
}

/** Bytes of packets that may wait for the consumer; beyond that the connection pauses, or datagrams are lost. */
const MAX_WAITING = 8 * 1024 * 1024;
/** RTP packets that may wait for a missing one, in number and in bytes. */
const MAX_OUT_OF_ORDER = { maxWaiting: 8_192, maxBytes: 16 * 1024 * 1024 } as const;
/** The largest ASF packet, in bytes, whatever a header says. */
const MAX_PACKET = 1024 * 1024;
/** How often to look at what is missing, in ms. */
const ATTENTION = 10;
/** The packet pair is requested again after each third of the time that is left for it. */
const PAIR_TRIES = 3;

/** Send times go back only at the beginning of another entry. */
const LARGEST_STEP_BACK = 500;
const isLater = (packet: RtpPacket, previous: RtpPacket) =>
  ((packet.timestamp - previous.timestamp) | 0) >= -LARGEST_STEP_BACK;

/** The payload types of FEC packets. */
const fecTypes = ({ media }: Sdp) => media.flatMap(({ fec }) => (fec ? [fec.payloadType] : []));

/** The media of a session: sets streams up, and takes their packets over the connection or as datagrams. */
export class MediaIntake {
  readonly transport: 'tcp' | 'udp';
  readonly #dialog: RtspDialog;
  readonly #peer: RtspPeer;
  readonly #wake: () => void;
  readonly #streams = new Map<number, SetUpStream>();
  readonly #channels = new Set<number>();
  #reception: RtpReception | undefined;
  #sdp: Sdp | undefined;
  #arrivals: Arrivals | undefined;
  #datagrams: ClientDatagrams | undefined;
  #rtx: { readonly ssrc: number; readonly port: number } | undefined;
  #pairSeen: (() => void) | undefined;
  #dropped = 0;
  #attention: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(dialog: RtspDialog, peer: RtspPeer, transport: 'tcp' | 'udp', wake: () => void) {
    this.#dialog = dialog;
    this.#peer = peer;
    this.transport = transport;
    this.#wake = wake;
  }

  /** True while packets wait for the consumer. */
  get waits(): boolean {
    return (this.#arrivals?.waitingBytes ?? 0) > 0;
  }

  get losses(): Losses {
    const { lost = 0, resent = 0 } = this.#reception?.counts ?? {};
    return { lost: lost + this.#dropped, recovered: resent + (this.#reception?.rebuilt ?? 0), parity: 0 };
  }

  get lossLog(): LossLogFields {
    const { lost = 0, longestGap = 0, resent = 0, reordered = 0 } = this.#reception?.counts ?? {};
    const { requests: resendRequests = 0 } = this.#reception ?? {};
    const recovered = this.#reception?.rebuilt ?? 0;
    return { lost: lost + this.#dropped, longestGap, recovered, resent: resent + reordered, resendRequests };
  }

  /**
   * Prepares to receive, once in a session; by UDP, also the retransmission stream, and finds out whether datagrams
   * arrive (MS-RTSP 3.1.5.4, 3.1.5.6).
   *
   * @param limit the largest ASF packet, in bytes
   * @throws WmError WM_UNREACHABLE if no datagrams arrive
   */
  async open(sdp: Sdp, limit: number): Promise<void> {
    this.#sdp = sdp;
    if (this.#reception) {
      this.#reception.knowFec(fecTypes(sdp));
      return;
    }
    const { lossWindow = DEFAULT_LOSS_WINDOW } = this.#peer.options;
    const window = this.transport === 'udp' ? lossWindow : 0;
    const mayChange = sdp.features.includes('playlist') && (this.#peer.options.rate ?? 1) > 0;
    const follows = window > 0 && mayChange ? isLater : undefined;
    this.#reception = new RtpReception({ window, follows, ...MAX_OUT_OF_ORDER }, Math.min(limit, MAX_PACKET));
    this.#arrivals = new Arrivals(this.#reception, window, this.#wake);
    if (this.transport === 'tcp') return;
    const { localAddress, remoteAddress } = this.#dialog.connection;
    this.#datagrams = await ClientDatagrams.open(localAddress, remoteAddress, {
      media: (bytes) => this.#datagram(bytes),
      resent: (bytes) => this.#resent(bytes),
    });
    if (this.#closed) this.#datagrams.close();
    this.#reception.knowFec(fecTypes(sdp));
    const media = rtxMedia(sdp);
    if (!media) return;
    await this.#setUpRtx(urlOf(sdp, media, this.#dialog.url.href));
    if (this.#dialog.supported?.has('srvppair')) await this.#testUdp();
  }

  /** Another entry has ASF packets of that size, in bytes. */
  allowPackets(size: number): void {
    this.#reception?.allowPackets(Math.min(size, MAX_PACKET));
  }

  /** SETUP of streams that are not set up yet: the first one alone, the others at once (MS-RTSP 3.1.4.3.1). */
  async select(streams: readonly StreamAt[]): Promise<void> {
    const missing = streams.filter(({ media, url }) => this.#streams.get(media.stream)?.url !== url);
    const [first, ...others] = missing;
    if (first && this.#dialog.session === undefined) {
      await this.#setUp(first);
      await Promise.all(others.map((stream) => this.#setUp(stream)));
    } else await Promise.all(missing.map((stream) => this.#setUp(stream)));
    if (this.transport === 'udp') await Promise.all(missing.map((stream) => this.#setUpFec(stream)));
  }

  /** The streams of another entry take the place of those before. @param kept those that the server has set up itself */
  changed(kept: readonly StreamAt[], infos: readonly RtpInfo[]): void {
    const before = [...this.#streams.values()];
    this.#streams.clear();
    for (const { media, url } of kept) {
      const told = infos.find((info) => info.url === url)?.ssrc;
      if (told !== undefined) this.#reception?.allow(told);
      this.#streams.set(media.stream, { stream: media.stream, url, ssrc: told ?? before[0]?.ssrc });
    }
  }

  /** A PLAY follows: what still comes of the last one is dropped. */
  prepare(): void {
    this.clear();
    this.#reception!.prepare();
  }

  /** Drops what was received and not taken. */
  clear(): void {
    this.#arrivals?.clear();
    this.#dialog.connection.read(true);
  }

  /** The response to PLAY. */
  begin(infos: readonly RtpInfo[]): void {
    const now = performance.now();
    this.#arrivals!.packets(this.#reception!.begin(numbersBySsrc(infos, this.#streams.values()), now), now);
    this.#attend();
  }

  /** EndOfStream. */
  end(reason: EndReason, infos: readonly RtpInfo[], now: number): void {
    this.#arrivals?.end(reason, numbersBySsrc(infos, this.#streams.values()), now);
    this.#attend();
  }

  /** Another request of the server. */
  request(arrival: Parameters<Arrivals['request']>[0]): void {
    this.#arrivals?.request(arrival);
  }

  /** Returns what arrived next. */
  next(): Arrival | undefined {
    const arrival = this.#arrivals?.next();
    if (arrival && this.transport === 'tcp' && this.#dialog.isOpen) this.#dialog.connection.read(true);
    return arrival;
  }

  frame(channel: number, bytes: Buffer): void {
    if (!this.#channels.has(channel) || !this.#arrivals || !this.#reception) return;
    const now = performance.now();
    this.#arrivals.packets(this.#reception.push(bytes, now), now);
    if (this.#arrivals.waitingBytes > MAX_WAITING) this.#dialog.connection.read(false);
    this.#wake();
  }

  /** Asks for what is missing, and gives up on what is for too long. To be called now and then. */
  tick(now: number): void {
    if (this.#closed) return;
    this.#arrivals?.tick(now);
    if (this.#rtx && this.#datagrams) {
      const { ssrc, port } = this.#rtx;
      for (const packet of this.#reception!.nacks(ssrc, now)) this.#datagrams.sendControl(packet, port);
    }
    this.#attend();
  }

  /** Looks at what is missing every few ms while something is, and only then. */
  #attend(): void {
    if (this.#closed || this.#attention || !(this.#reception?.isWaiting || this.#arrivals?.isEnding)) return;
    this.#attention = setTimeout(() => {
      this.#attention = undefined;
      this.tick(performance.now());
    }, ATTENTION);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#attention);
    this.#datagrams?.close();
    this.#pairSeen?.();
  }

  async #setUp({ media, url }: StreamAt): Promise<void> {
    const index = this.#streams.size;
    const asked = this.transport === 'tcp' ? tcpTransport(index) : udpTransport([this.#datagrams!.mediaPort]);
    this.#streams.set(media.stream, { stream: media.stream, url, ssrc: undefined });
    const { ssrc, interleaved } = await this.#ask(url, asked);
    if (interleaved) this.#channels.add(interleaved[0]);
    else if (this.transport === 'tcp') this.#channels.add(index * 2);
    if (ssrc !== undefined) this.#reception!.allow(ssrc);
    this.#streams.set(media.stream, { stream: media.stream, url, ssrc });
  }

  /** SETUP of the FEC packets of a stream (MS-RTSP 3.1.4.3.1); a server that refuses them sends the stream all the same. */
  async #setUpFec({ media: { fec } }: StreamAt): Promise<void> {
    if (!fec) return;
    const { span, perSpan } = fec;
    const url = fecUrl(this.#dialog.url.href, this.#sdp!, fec);
    const fields = [fecTransport(this.#datagrams!.mediaPort, { span, perSpan, burstMargin: 1 })];
    const response = await this.#dialog.tell('SETUP', { url, fields, supported: true, named: true });
    const [granted] = response?.status === 200 ? readTransports(response.headers.get('Transport') ?? '') : [];
    if (granted?.ssrc !== undefined) this.#reception!.allow(granted.ssrc);
    const { fec: used = { span, perSpan, burstMargin: 1 } } = granted ?? {};
    if (granted) this.#reception!.useFec(used.span * used.burstMargin + used.perSpan);
  }

  async #setUpRtx(url: string): Promise<void> {
    const { ssrc, serverPort } = await this.#ask(url, udpTransport(this.#datagrams!.rtxPorts));
    if (ssrc === undefined || !serverPort) return;
    this.#rtx = { ssrc, port: serverPort[1] ?? serverPort[0] + 1 };
  }

  async #ask(url: string, transport: Field): Promise<Transport> {
    const response = await this.#dialog.ask('SETUP', { url, fields: [transport], supported: true, named: true });
    return grantedTransport(response, this.transport, url);
  }

  /** UdpPacketPair: three datagrams show that the way is open, or the Firewall timer that it is not (MS-RTSP 3.1.6.1). */
  async #testUdp(): Promise<void> {
    const { firewall } = this.#peer.timeouts;
    const body = Buffer.from('type: high-entropy-packetpair', 'latin1');
    const type = 'application/x-rtsp-udp-packetpair;charset=UTF-8';
    let timer: NodeJS.Timeout | undefined;
    const seen = new Promise<boolean>((resolve) => {
      let tries = 0;
      const ask = () => {
        if (tries++ === PAIR_TRIES) resolve(false);
        else {
          void this.#dialog.tell('SET_PARAMETER', { type, body, named: true });
          timer = setTimeout(ask, firewall / PAIR_TRIES);
        }
      };
      this.#pairSeen = () => resolve(true);
      ask();
    });
    const isOpen = await seen;
    clearTimeout(timer);
    this.#pairSeen = undefined;
    if (!isOpen)
      throw new WmError(
        'WM_UNREACHABLE',
        `No datagram of ${this.#dialog.url.authority} arrives within ${firewall / 1000} s.`,
      );
  }

  /** To the port for media. */
  #datagram(bytes: Buffer): void {
    if (!this.#arrivals || !this.#reception || this.#closed) return;
    if (this.#arrivals.waitingBytes > MAX_WAITING) {
      this.#dropped++;
      return;
    }
    const now = performance.now();
    this.#arrivals.packets(this.#reception.push(bytes, now), now);
    this.#attend();
    this.#wake();
  }

  /** To the port for retransmissions: a packet that was lost, or one of a packet pair. */
  #resent(bytes: Buffer): void {
    if (!this.#pairSeen) {
      this.#datagram(bytes);
      return;
    }
    try {
      const { ssrc } = readRtp(bytes);
      const isChecked = this.#dialog.supported?.has('packetpairssrc') ?? false;
      if (!isChecked || ssrc === this.#rtx?.ssrc) this.#pairSeen();
    } catch (error) {
      if (!(error instanceof RtspError)) throw error;
    }
  }
}
