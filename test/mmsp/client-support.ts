import type { Socket as UdpSocket } from 'node:dgram';
import type { Socket } from 'node:net';
import { parseHeader } from '../../src/asf/header.js';
import { TcpFront } from '../../src/http/tcp-front.js';
import type { AsfEvent } from '../../src/media/events.js';
import { bindUdp, closeUdp } from '../../src/media/udp.js';
import { type MmspWayOptions, mmspWays } from '../../src/mmsp/client/ways.js';
import { MAX_BIT_RATE, MmspError, newMessage, PACKET_PAIR, splitMessages } from '../../src/mmsp/messages/base.js';
import { type ClientMessage, readClientMessage } from '../../src/mmsp/messages/client.js';
import { buildData, headerPackets } from '../../src/mmsp/messages/data.js';
import { TcpPacketReader, wrapMessages } from '../../src/mmsp/messages/frame.js';
import { type ResendRequest, readResendRequest } from '../../src/mmsp/messages/resend.js';
import * as messages from '../../src/mmsp/messages/server.js';
import { type PullOptions, PullSource } from '../../src/receiving/pull-source.js';
import { testHeader, testPacket, VIDEO } from '../support/stream.js';
import { until } from '../support/until.js';
import { madeFile } from '../wmsp/content.js';

export type ReceiveOptions = MmspWayOptions & Omit<PullOptions, 'rate'>;

/** A source by MMSP as `openSourceUrl` makes it. */
export function open(options: ReceiveOptions) {
  return new PullSource(mmspWays(options), options);
}

/** Receives everything. @returns the events, and the error that ended them */
export async function receive(options: ReceiveOptions, see: (source: Opened, event: AsfEvent) => void = () => {}) {
  const source = open(options);
  const events: AsfEvent[] = [];
  let error: unknown;
  try {
    for await (const event of source) {
      events.push(event);
      see(source, event);
    }
  } catch (thrown) {
    error = thrown;
  }
  const packets = events.flatMap((event) => (event.type === 'packet' ? [event.packet] : []));
  return { source, events, error, packets, times: packets.map(({ sendTime }) => sendTime) };
}

export type Opened = ReturnType<typeof open>;

/** ASF packets, 100 ms apart, the first with a key frame. */
export function media(count: number, from = 0, stream = VIDEO): Buffer[] {
  return Array.from(
    { length: count },
    (_, index) => testPacket((from + index) * 100, { key: index === 0, stream }).bytes,
  );
}

type Type = ClientMessage['type'];
export type Answers = { [T in Type]?: (peer: ScriptedPeer, message: Extract<ClientMessage, { type: T }>) => void };

export interface ServerFacts {
  readonly version?: string;
  readonly attributes?: number;
  readonly packetCount?: number;
  readonly header?: Buffer;
}

/** An MMSP server that answers as the specification says, unless a test says otherwise. */
export class ScriptedServer {
  readonly peers: ScriptedPeer[] = [];
  readonly resends: ResendRequest[] = [];
  readonly facts: Required<ServerFacts>;
  readonly answers: Answers;
  /** By number, for resends. */
  readonly sent = new Map<number, Buffer>();
  /** Called for each resend request. */
  onResend: (request: ResendRequest, peer: ScriptedPeer) => void = () => {};
  port = 0;
  #front: TcpFront | undefined;
  #udp: UdpSocket | undefined;

  private constructor(answers: Answers, facts: ServerFacts) {
    this.answers = answers;
    this.facts = {
      version: '9.5.6001.18281',
      attributes: messages.FILE_ATTRIBUTE.broadcast,
      packetCount: 0,
      header: headerBytes(),
      ...facts,
    };
  }

  static async listen(answers: Answers = {}, facts: ServerFacts = {}): Promise<ScriptedServer> {
    const server = new ScriptedServer(answers, facts);
    const front = new TcpFront({ accept: (socket) => void server.peers.push(new ScriptedPeer(socket, server)) });
    server.#front = front;
    server.port = await front.listen(0, '127.0.0.1', async (free) => {
      server.#udp = await bindUdp(free, '127.0.0.1');
    });
    const udp = server.#udp!;
    udp.on('message', (bytes) => {
      const request = readResendRequest(bytes);
      if (!request) return;
      server.resends.push(request);
      server.onResend(request, server.peers.at(-1)!);
    });
    return server;
  }

  url(scheme = 'mmst', path = '/live'): string {
    return `${scheme}://127.0.0.1:${this.port}${path}`;
  }

  get last(): ScriptedPeer {
    return this.peers.at(-1)!;
  }

  datagram(bytes: Buffer, port: number): void {
    this.#udp!.send(bytes, port, '127.0.0.1');
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy();
    await this.#front?.close(0, () => {});
    const udp = this.#udp;
    this.#udp = undefined;
    if (udp) await closeUdp(udp);
  }
}

/** One client of a {@link ScriptedServer}, seen from the server. */
export class ScriptedPeer {
  readonly socket: Socket;
  readonly server: ScriptedServer;
  readonly messages: ClientMessage[] = [];
  /** TcpMessageHeader packets, as they came. */
  readonly raw: Buffer[] = [];
  closed = false;
  udpPort = 0;
  number = 0;
  incarnation = 0;
  readonly #reader = new TcpPacketReader({ takesData: false });
  #sequence = 0;

  constructor(socket: Socket, server: ScriptedServer) {
    this.socket = socket;
    this.server = server;
    socket.on('error', () => {});
    socket.on('close', () => {
      this.closed = true;
    });
    socket.on('data', (bytes) => {
      try {
        for (const packet of this.#reader.push(bytes)) {
          if (packet.type !== 'messages') continue;
          this.raw.push(Buffer.from(packet.field));
          for (const raw of splitMessages(packet.field)) this.#take(readClientMessage(raw));
        }
      } catch (error) {
        if (!(error instanceof MmspError)) throw error;
      }
    });
  }

  get types(): Type[] {
    return this.messages.map(({ type }) => type);
  }

  of<T extends Type>(type: T): Array<Extract<ClientMessage, { type: T }>> {
    return this.messages.filter((message): message is Extract<ClientMessage, { type: T }> => message.type === type);
  }

  async next(type: Type, count = 1): Promise<void> {
    await until(`${count} ${type}`, () => this.of(type).length >= count);
  }

  send(...all: Buffer[]): void {
    for (const message of all) this.socket.write(wrapMessages(message, this.#sequence++, 0));
  }

  /** Sends bytes as Data packets, by the transport that was asked for. */
  data(bytes: Buffer): void {
    if (this.udpPort) this.server.datagram(bytes, this.udpPort);
    else this.socket.write(bytes);
  }

  header(incarnation: number, header = this.server.facts.header): void {
    for (const packet of headerPackets(header, incarnation, 400)) this.data(packet);
  }

  /** Sends ASF packets, counted from the first one of the session. @param lost indexes of those that are only counted */
  media(
    packets: readonly Buffer[],
    { location = 0, lost = [] as readonly number[], incarnation = this.incarnation } = {},
  ) {
    for (const [index, bytes] of packets.entries()) {
      const head = { location: location + index, incarnation, flags: this.number };
      const packet = buildData(head, bytes);
      this.server.sent.set(this.number++, packet);
      if (!lost.includes(index)) this.data(packet);
    }
  }

  end(hr = 0): void {
    this.send(messages.buildEndOfStream(this.incarnation, hr));
  }

  #take(message: ClientMessage): void {
    this.messages.push(message);
    const answer = this.server.answers[message.type] as ((peer: this, message: ClientMessage) => void) | undefined;
    if (message.type === 'startPlaying' || message.type === 'startStriding') this.incarnation = message.incarnation;
    if (message.type === 'connectFunnel' && message.funnel.transport === 'udp') this.udpPort = message.funnel.port;
    if (answer) answer(this, message);
    else this.answer(message);
  }

  /** Answers as the specification says. */
  answer(message: ClientMessage): void {
    const { version, attributes, packetCount, header } = this.server.facts;
    switch (message.type) {
      case 'connect':
        this.send(messages.buildConnectedEx({ version, scheme: 'NTLM' }, true));
        break;
      case 'funnelInfo':
        this.send(messages.buildReportFunnelInfo(PACKET_PAIR.none, CLIENT_ID));
        break;
      case 'connectFunnel':
        this.send(messages.buildConnectedFunnel());
        break;
      case 'openFile': {
        const facts = { attributes, duration: 2, packetSize: 400, packetCount, bitRate: MAX_BIT_RATE };
        this.send(messages.buildReportOpenFile(message.incarnation, FILE_ID, { ...facts, headerSize: header.length }));
        break;
      }
      case 'readBlock':
        this.send(messages.buildReportReadBlock(message.incarnation));
        this.header(message.incarnation);
        break;
      case 'streamSwitch':
        this.send(messages.buildReportStreamSwitch());
        break;
      case 'startPlaying':
        this.send(messages.buildStartedPlaying(message.incarnation, FILE_ID));
        break;
      case 'startStriding':
        this.send(messages.buildReportStartStriding(message.incarnation));
        break;
      case 'stopPlaying':
        this.send(messages.buildEndOfStream(message.incarnation, 0));
        break;
      case 'closeFile':
        this.socket.end();
        break;
      default:
    }
  }
}

export const CLIENT_ID = 0x12345678;
/** More than 16 bits, of which resend requests repeat the lower ones. */
export const FILE_ID = 0x0004_0001;

/** A header as it is sent: with the first 50 bytes of the Data Object. */
export function headerBytes(options: Parameters<typeof testHeader>[0] = {}): Buffer {
  return testHeader(options).bytes;
}

/** The facts of a file of two seconds, which can be played from any position. */
export const FILE: ServerFacts = {
  header: parseHeader(madeFile({ seconds: 2 })).bytes,
  attributes: messages.FILE_ATTRIBUTE.canSeek | messages.FILE_ATTRIBUTE.canStride,
};

/** A message of an unknown kind. */
export function strangeMessage(): Buffer {
  return newMessage(0x00040099, 24);
}
