import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import type { AsfHeader } from '../../src/asf/header.js';
import type { Field } from '../../src/framing/text-head.js';
import {
  RtspReader,
  type RtspRequest,
  type RtspResponse,
  serialiseRequest,
  serialiseResponse,
  writeFrameHead,
} from '../../src/rtsp/messages/message.js';
import { writeRtpUnit } from '../../src/rtsp/messages/rtp.js';
import { RTX_STREAM, type Sdp, type SdpMedia, writeSdp } from '../../src/rtsp/messages/sdp.js';
import { AUDIO, testHeader, testPacket, VIDEO } from '../support/stream.js';
import { until } from '../support/until.js';

/** An answer; fields of every response are added. */
export interface Answer {
  readonly status?: number;
  readonly fields?: readonly Field[];
  readonly body?: string;
  /** Closes the connection after it. */
  readonly last?: boolean;
}

type Answers = Partial<Record<string, (request: RtspRequest) => Answer | undefined | 'silence'>>;

/** The SSRC of media and of the retransmission stream. */
export const SSRC = 0x4b1b0001;
export const RTX_SSRC = 0xa1710001;
/** The number of the first RTP packet. */
export const FIRST = 65_530;
export const SUPPORTED =
  'com.microsoft.wm.srvppair, com.microsoft.wm.sswitch, com.microsoft.wm.eosmsg, com.microsoft.wm.fastcache, com.microsoft.wm.packetpairssrc';

/** Returns the SDP of a header, with control names as real servers give them. */
export function sdpOf(header: AsfHeader, options: Partial<Sdp> & { readonly rtx?: boolean } = {}): string {
  const { rtx = true, ...others } = options;
  const media = header.streams.map(
    ({ number, type }): SdpMedia => ({
      kind: type === 'audio' || type === 'video' ? type : 'application',
      stream: number,
      control: type === 'audio' || type === 'video' ? type : `stream=${number}`,
      payloadType: 96,
      format: 'x-asf-pf',
      bitRate: 64_000,
    }),
  );
  const resends: SdpMedia = {
    kind: 'application',
    stream: RTX_STREAM,
    control: 'rtx',
    payloadType: 96,
    format: 'x-wms-rtx',
  };
  return writeSdp({
    title: 'Test',
    sessionId: '1',
    origin: { family: 'IP4', address: '127.0.0.1' },
    control: '',
    maxPacketSize: header.packetSize,
    features: header.broadcast ? ['broadcast'] : [],
    header: header.bytes,
    media: rtx ? [...media, resends] : media,
    ...others,
  });
}

/** A server that does what a test says, and keeps what a client sends. */
export class ScriptedServer {
  readonly requests: RtspRequest[] = [];
  /** Responses of the client to requests of the server. */
  readonly responses: RtspResponse[] = [];
  /** Datagrams to the port for RTCP. */
  readonly rtcp: Buffer[] = [];
  readonly sockets: Socket[] = [];
  header = testHeader();
  /** Answers that replace the usual ones, by method. */
  answers: Answers = {};
  supported = SUPPORTED;
  /** The SSRC of a stream by its control; default: that of media. */
  ssrcs: Readonly<Record<string, number>> = { rtx: RTX_SSRC };
  /** More fields of each response to SETUP. */
  extra: readonly Field[] = [];
  /** Of a session, in seconds. */
  timeout = 60;
  /** True to answer UdpPacketPair and to send no packet pair. */
  blocksUdp = false;
  port = 0;
  /** The number of the next RTP packet. */
  sequence = FIRST;
  readonly #server: Server;
  #rtp!: UdpSocket;
  #rtcp!: UdpSocket;
  #ports: { media?: number; rtx?: number } = {};
  #transport: 'tcp' | 'udp' = 'udp';
  #sequence = 0;

  private constructor() {
    this.#server = createServer((socket) => this.#accept(socket));
  }

  static async open(): Promise<ScriptedServer> {
    const server = new ScriptedServer();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    server.port = (server.#server.address() as { port: number }).port;
    const udp = async () => {
      const socket = createSocket('udp4');
      socket.bind(0, '127.0.0.1');
      await once(socket, 'listening');
      return socket;
    };
    [server.#rtp, server.#rtcp] = [await udp(), await udp()];
    server.#rtcp.on('message', (bytes) => server.rtcp.push(bytes));
    return server;
  }

  url(path = '/x', scheme = 'rtsp'): string {
    return `${scheme}://127.0.0.1:${this.port}${path}`;
  }

  get methods(): string[] {
    return this.requests.map(({ method }) => method);
  }

  /** Waits for a request of that method. @param count the first, the second … */
  async request(method: string, count = 1): Promise<RtspRequest> {
    const all = () => this.requests.filter((request) => request.method === method);
    return until(`${method} number ${count}`, () => all()[count - 1]);
  }

  /** The requests with that Content-Type, without parameters. */
  ofType(type: string): RtspRequest[] {
    return this.requests.filter(({ headers }) => headers.get('Content-Type')?.split(';')[0] === type);
  }

  /** Sends a request to the client. */
  ask(method: string, fields: readonly Field[], body: string | Buffer = ''): void {
    const all: Field[] = [['CSeq', `${++this.#sequence}`], ...fields];
    this.sockets.at(-1)!.write(serialiseRequest(method, this.url(), all, Buffer.from(body)));
  }

  /** EndOfStream, with the number of the next packet. */
  end(line = '', sequence = this.sequence): void {
    const info = `url=${this.url('/x/audio')};seq=${sequence & 0xffff}`;
    const fields: Field[] = [
      ['Session', '7'],
      ['X-Notice', '2101 "End-of-Stream Reached"'],
      ['RTP-Info', info],
      ['Content-Type', 'application/x-wms-extension-cmd'],
    ];
    this.ask('SET_PARAMETER', fields, `Session: 7\r\nEOF: true\r\n${line}`);
  }

  /** Builds the RTP packets of the next ASF packet, which take numbers. */
  packets(sendTime: number, { size = 1_452, location }: { size?: number; location?: number } = {}): Buffer[] {
    const key = sendTime % 1_000 === 0;
    const { bytes } = testPacket(sendTime, { key, stream: sendTime % 200 === 0 ? VIDEO : AUDIO });
    const framing = { payloadType: 96, ssrc: SSRC, largest: size, withLocation: location !== undefined };
    const units = Math.ceil(bytes.length / (size - 16));
    return Array.from({ length: units }, (_, unit) => {
      const packet = Buffer.alloc(2_000);
      const about = { bytes, sendTime, keyFrame: key, location: location ?? 0 };
      return packet.subarray(0, writeRtpUnit(packet, 0, about, unit, this.sequence++, framing));
    });
  }

  /** Sends ASF packets, 100 ms of media apart. @param lose the indexes of RTP packets that are not sent @returns all */
  async send(count: number, from = 0, lose: readonly number[] = []): Promise<Buffer[]> {
    const all: Buffer[] = [];
    for (let index = 0; index < count; index++) all.push(...this.packets((from + index) * 100));
    for (const [index, packet] of all.entries()) if (!lose.includes(index)) this.media(packet);
    return all;
  }

  /** Sends an RTP packet as media. */
  media(packet: Buffer): void {
    if (this.#transport === 'udp') this.#rtp.send(packet, this.#ports.media!, '127.0.0.1');
    else this.frame(0, packet);
  }

  /** Sends a datagram to the port of the retransmission stream. */
  resend(packet: Buffer): void {
    this.#rtp.send(packet, this.#ports.rtx!, '127.0.0.1');
  }

  /** Sends a datagram to the client's port for media from another address. */
  async stranger(packet: Buffer): Promise<void> {
    const socket = createSocket('udp4');
    socket.bind(0, '127.0.0.2');
    await once(socket, 'listening');
    await new Promise<void>((resolve) => socket.send(packet, this.#ports.media!, '127.0.0.1', () => resolve()));
    socket.close();
  }

  frame(channel: number, packet: Buffer): void {
    const head = Buffer.alloc(4);
    writeFrameHead(head, 0, channel, packet.length);
    this.sockets.at(-1)!.write(Buffer.concat([head, packet]));
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    this.#rtp.close();
    this.#rtcp.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.sockets.push(socket);
    const reader = new RtspReader({ maxBody: 1024 * 1024 });
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      for (const input of reader.push(bytes)) {
        if (input.type === 'response') this.responses.push(input);
        else if (input.type === 'request') this.#receive(socket, input);
      }
    });
  }

  #receive(socket: Socket, request: RtspRequest): void {
    this.requests.push(request);
    const answer = this.answers[request.method]?.(request) ?? this.#usual(request);
    if (answer === 'silence') return;
    const { status = 200, fields = [], body, last } = answer;
    const all: Field[] = [
      ['CSeq', request.headers.get('CSeq') ?? ''],
      ['Server', 'WMServer/9.0.0.3372'],
      ...(this.supported === '' ? [] : [['Supported', this.supported] as const]),
      ...(request.method === 'DESCRIBE' ? [] : [['Session', `7;timeout=${this.timeout}`] as const]),
      ...fields,
    ];
    socket.write(serialiseResponse(status, all, body === undefined ? undefined : Buffer.from(body)));
    if (last) socket.end();
    if (request.headers.get('Content-Type')?.includes('udp-packetpair') && !this.blocksUdp) this.packetPair(RTX_SSRC);
  }

  /** Sends datagrams of a packet pair. @param which default: all three */
  packetPair(ssrc: number, which: readonly number[] = [0, 1, 2]): void {
    for (const [index, size] of [1_454, 1_455, 1_456].entries()) {
      if (!which.includes(index)) continue;
      const packet = Buffer.alloc(16 + size);
      packet.writeUInt16BE(0x80e9, 0);
      packet.writeUInt16BE(index, 2);
      packet.writeUInt32BE(ssrc, 8);
      packet.writeUInt32BE(((index === 0 ? 0xc0 : 0x40) * 0x1000000 + size + 4) >>> 0, 12);
      this.resend(packet);
    }
  }

  #usual({ method, url, headers }: RtspRequest): Answer {
    switch (method) {
      case 'DESCRIBE':
        return { fields: [['Content-Type', 'application/sdp']], body: sdpOf(this.header) };
      case 'SETUP':
        return { fields: [['Transport', this.#setUp(url, headers.get('Transport') ?? '')], ...this.extra] };
      case 'PLAY':
        return {
          fields: [
            ['Range', 'npt=0.000-'],
            ['RTP-Info', `url=${this.url('/x/audio')};seq=${this.sequence & 0xffff};rtptime=0`],
          ],
        };
      default:
        return {};
    }
  }

  #setUp(url: string, wish: string): string {
    const channels = /interleaved=([\d-]+)/.exec(wish)?.[1];
    const ssrc = (this.ssrcs[url.slice(url.lastIndexOf('/') + 1)] ?? SSRC).toString(16);
    if (channels !== undefined) {
      this.#transport = 'tcp';
      return `RTP/AVP/TCP;unicast;interleaved=${channels};ssrc=${ssrc};mode=PLAY`;
    }
    this.#transport = 'udp';
    const ports = /client_port=([\d-]+)/.exec(wish)![1]!;
    const [rtp, rtcp] = [this.#rtp.address().port, this.#rtcp.address().port];
    if (url.endsWith('/rtx')) this.#ports.rtx = Number.parseInt(ports, 10);
    else this.#ports.media = Number.parseInt(ports, 10);
    const own = url.endsWith('/rtx') ? `${rtp}-${rtcp}` : `${rtp}`;
    return `RTP/AVP/UDP;unicast;server_port=${own};client_port=${ports};ssrc=${ssrc};mode=PLAY`;
  }
}
