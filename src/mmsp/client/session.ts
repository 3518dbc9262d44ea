import { WmError } from '../../errors.js';
import { hexResult, isErrorResult } from '../../hresult.js';
import { MmspError, PACKET_PAIR, type RawMessage } from '../messages/base.js';
import * as client from '../messages/client.js';
import { type DataMessage, isPacketPair, readData, STREAM_CHANGE_INCARNATION } from '../messages/data.js';
import { TCP_HEADER_SIZE } from '../messages/frame.js';
import { buildResendRequest, MAX_RESENDS } from '../messages/resend.js';
import { FILE_ATTRIBUTE, type FileFacts, readServerMessage, type ServerMessage } from '../messages/server.js';
import {
  accelerationOf,
  type ClientAction,
  type ClientSessionOptions,
  type ClientState,
  type PlayOrder,
} from './actions.js';
import { refusalError } from './errors.js';
import { HeaderParts } from './header.js';
import { DatagramReception } from './reception.js';

const NOTHING: readonly ClientAction[] = [];
/** The longest wait for a header over UDP and what is added to its transfer time, in ms (3.1.2, 3.1.5.9.1). */
const HEADER_TIME = { extra: 1_000, most: 30_000 };
/** How often a header that did not arrive is asked for again (3.1.6.1). */
const HEADER_RETRIES = 4;
const INCARNATIONS = { headers: { first: 0x01, last: 0x08 }, starts: { first: 0x09, last: 0xfe } } as const;
/** After the end, datagrams sent before it may still come; so long without any, in ms, and none will. */
const QUIET_TIME = 300;
/** The longest wait for them in ms. */
const MAX_LINGER = 3_000;
/** Messages that may wait for them. */
const MAX_WAITING = 64;
/** A server below version 9 does not say whether another entry follows (3.1.5.18); so long in ms for it to begin. */
const CHANGE_TIME = 10_000;
/** The packets at the end that are asked for if they are missing, without knowing how many there are. */
const TAIL = 16;
/** A client's session of MMSP (MS-MMSP 3.1), without sockets and timers; times are in ms of any monotonic clock. */
export class MmspClientSession {
  readonly #options: ClientSessionOptions;
  #state: ClientState = 'greeting';
  #transport: 'tcp' | 'udp';
  #hasRetriedFunnel = false;
  #version: { readonly text: string; readonly major: number } = { text: '', major: 0 };
  #scheme = '';
  #clientId = 0;
  #pairMessages = 0;
  #pairAt = 0;
  #bandwidth: number | undefined;
  #file: (FileFacts & { readonly openFileId: number }) | undefined;
  #header: Buffer = Buffer.alloc(0);
  #parts: HeaderParts | undefined;
  #headerDue = Number.POSITIVE_INFINITY;
  #headerTries = 0;
  #headerIncarnation: number = INCARNATIONS.headers.first;
  #playIncarnation: number = INCARNATIONS.starts.first;
  /** Of the newest StartPlaying or StartStriding, and those of Data packets that are of the current entry. */
  #started = 0;
  #accepted: ReadonlySet<number> = new Set();
  /** Incarnations of this client's earlier requests; packets that have them are late. */
  readonly #former = new Set<number>();
  #challenge: { readonly cookie: number; readonly incarnation: number } | undefined;
  #entrySize: Pick<FileFacts, 'bitRate' | 'headerSize'> | undefined;
  #changes = false;
  /** True if the newest start only confirms an entry that the server sends already (3.2.4.2). */
  #confirms = false;
  #changeDue = Number.POSITIVE_INFINITY;
  #isReverse = false;
  readonly #reception = new DatagramReception();
  /** An EndOfStream by TCP that overtook datagrams, and the messages after it. */
  #waiting: ServerMessage[] = [];
  #waitingSince = 0;
  #askedForTail = false;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.#transport = options.funnel.transport;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** How Data packets arrive, which the server may have changed. */
  get transport(): 'tcp' | 'udp' {
    return this.#transport;
  }

  /** ServerVersionInfo, and its first number. */
  get version(): { readonly text: string; readonly major: number } {
    return this.#version;
  }

  /** AuthenPackage: the scheme of challenges that name none; may be empty. */
  get scheme(): string {
    return this.#scheme;
  }

  /** The server's description of the first entry. Known once the session is `ready`. */
  get file(): FileFacts & { readonly openFileId: number } {
    return this.#file!;
  }

  /** ASF Header Object of the current entry, and the first 50 bytes of its Data Object. */
  get header(): Buffer {
    return this.#header;
  }

  /** As measured with a packet pair, in bits per second. */
  get bandwidth(): number | undefined {
    return this.#bandwidth;
  }

  get reception(): DatagramReception {
    return this.#reception;
  }

  /** The connection is made (3.1.4.1.1). */
  connected(): readonly ClientAction[] {
    const { subscriber, host, via, packetPair } = this.#options;
    return [send(client.buildConnect(packetPair ? PACKET_PAIR.possible : PACKET_PAIR.none, subscriber, { host, via }))];
  }

  /**
   * Takes a message from the connection (3.1.5).
   *
   * @throws MmspError if it is malformed or does not fit the state
   * @throws WmError if the server refuses: WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE, WM_PROTOCOL
   */
  receive(raw: RawMessage, now: number): readonly ClientAction[] {
    const message = readServerMessage(raw);
    if (message.type === 'ping') return [send(client.buildPong())];
    const waits = this.#waiting.length > 0 || (message.type === 'endOfStream' && this.#mayHaveDatagramsLeft);
    if (!waits) return this.#take(message, now);
    if (this.#waiting.length >= MAX_WAITING) throw new MmspError('The server sends messages without end.');
    if (this.#waiting.length === 0) {
      this.#waitingSince = now;
      this.#askedForTail = false;
    }
    this.#waiting.push(message);
    return NOTHING;
  }

  /**
   * Takes a Data packet, from the connection or a datagram.
   *
   * @throws MmspError if it is malformed
   */
  data(bytes: Buffer, now: number): readonly ClientAction[] {
    const packet = readData(bytes);
    if (isPacketPair(packet)) {
      this.#measure(packet.location & 1, bytes.length, now);
      return NOTHING;
    }
    if (this.#parts?.incarnation === packet.incarnation) return this.#headerPart(packet, now);
    // Some servers mark the packets of every start alike, with a number of their own.
    const isCurrent = this.#accepted.has(packet.incarnation) || !this.#former.has(packet.incarnation);
    const isMedia = this.#state === 'streaming' || this.#state === 'starting';
    if (this.#transport === 'tcp') return isCurrent && isMedia ? [mediaOf(packet)] : NOTHING;
    // Packets that are on their way when it stops are counted.
    if (isCurrent && this.#state === 'stopping') this.#reception.packet(packet, now);
    if (!isMedia) return NOTHING;
    return this.#reception[isCurrent ? 'packet' : 'stale'](packet, now).map(mediaOf);
  }

  /**
   * Keeps time; to be called about 20 times a second.
   *
   * @throws WmError WM_UNREACHABLE if no datagrams arrive
   */
  tick(now: number): readonly ClientAction[] {
    if (now >= this.#headerDue) return this.#askHeaderAgain(now);
    if (now >= this.#changeDue) {
      this.#changeDue = Number.POSITIVE_INFINITY;
      this.#state = 'ready';
      return [{ type: 'ended', hr: 0 }];
    }
    if (this.#transport === 'tcp' || this.#state === 'ready') return NOTHING;
    const packets = this.#reception.tick(now).map(mediaOf);
    const due = this.#state === 'streaming' ? this.#reception.due(now) : [];
    const requests: ClientAction[] = [];
    for (let at = 0; at < due.length; at += MAX_RESENDS) {
      const numbers = due.slice(at, at + MAX_RESENDS);
      const request = { clientId: this.#clientId, sourceId: this.file.openFileId & 0xffff, numbers };
      requests.push({ type: 'datagram', bytes: buildResendRequest(request) });
    }
    return [...packets, ...requests, ...this.#release(now)];
  }

  /** The connection was closed. @returns the end, if nothing else was to be expected */
  connectionLost(): readonly ClientAction[] {
    if (this.#waiting.length > 0) return this.#releaseAll(Number.POSITIVE_INFINITY);
    if (this.#changeDue === Number.POSITIVE_INFINITY) return NOTHING;
    this.#changeDue = Number.POSITIVE_INFINITY;
    return [{ type: 'ended', hr: 0 }];
  }

  /** Answers the last challenge (3.1.5.8). */
  respond(token: Buffer): readonly ClientAction[] {
    const { cookie, incarnation } = this.#challenge!;
    return [send(client.buildSecurityResponse(incarnation, cookie, token))];
  }

  /** Starts to play, at the beginning or after a stop (3.1.4.2). */
  play(order: PlayOrder, now: number): readonly ClientAction[] {
    return this.#start(order, now);
  }

  /** Selects streams of the entry that a `change` has announced, and asks for it (3.1.4.4). */
  nextEntry(order: PlayOrder, now: number): readonly ClientAction[] {
    if (this.#state !== 'streaming') return NOTHING;
    return this.#start(order, now);
  }

  /** Stops; `stopped` follows (3.1.4.5). */
  stop(): readonly ClientAction[] {
    if (this.#state !== 'streaming' && this.#state !== 'starting') return NOTHING;
    this.#state = 'stopping';
    this.#parts = undefined;
    this.#headerDue = Number.POSITIVE_INFINITY;
    this.#changeDue = Number.POSITIVE_INFINITY;
    this.#waiting = [];
    return [send(client.buildStopPlaying(this.file.openFileId, this.#started)), ...this.#log()];
  }

  /** Reports what was received of an entry that has ended by itself, once all of it was taken (3.1.5.18). */
  report(): readonly ClientAction[] {
    return this.#log();
  }

  /** Ends the session; the connection is to be closed (3.1.4.8). */
  finish(): readonly ClientAction[] {
    if (!this.#file) return NOTHING;
    return [...this.stop(), send(client.buildCloseFile(this.#file.openFileId))];
  }

  #take(message: ServerMessage, now: number): readonly ClientAction[] {
    switch (message.type) {
      case 'connectedEx':
        return this.#connectedEx(message);
      case 'funnelInfo':
        return this.#funnelInfo(message, now);
      case 'disconnectedFunnel':
        return this.#disconnectedFunnel(message.hr);
      case 'connectedFunnel':
        return this.#connectedFunnel(message.hr);
      case 'redirect':
        this.#expect(['opening'], message.type);
        return [{ type: 'redirect', location: message.location, proxy: message.proxy }];
      case 'securityChallenge':
        this.#expect(['opening'], message.type);
        this.#challenge = message;
        return [{ type: 'challenge', token: message.token }];
      case 'openFile':
        return this.#openFile(message, now);
      case 'readBlock':
        this.#check(message.hr);
        return NOTHING;
      case 'streamSwitch':
        this.#check(message.hr);
        return NOTHING;
      case 'startedPlaying':
      case 'startStriding':
        // Late for an entry that has ended meanwhile.
        if (this.#state !== 'starting') return NOTHING;
        this.#check(message.hr);
        this.#state = 'streaming';
        return NOTHING;
      case 'endOfStream':
        return this.#endOfStream(message, now);
      case 'streamChange':
        return this.#streamChange(message, now);
      default:
        return NOTHING;
    }
  }

  #connectedEx({ hr, incarnation, serverVersion, scheme }: Extract<ServerMessage, { type: 'connectedEx' }>) {
    this.#expect(['greeting'], 'ReportConnectedEX');
    this.#check(hr);
    this.#version = { text: serverVersion, major: Number(/^\d{1,5}/.exec(serverVersion)?.[0] ?? 0) };
    this.#scheme = scheme;
    const isMeasured = this.#options.packetPair && incarnation === PACKET_PAIR.possible;
    const pair = this.#transport === 'udp' ? PACKET_PAIR.udp : PACKET_PAIR.tcp;
    return [send(client.buildFunnelInfo(isMeasured ? pair : PACKET_PAIR.none))];
  }

  #funnelInfo(message: Extract<ServerMessage, { type: 'funnelInfo' }>, now: number): readonly ClientAction[] {
    this.#expect(['greeting'], 'ReportFunnelInfo');
    this.#check(message.hr);
    this.#clientId = message.clientId;
    const { incarnation, pair } = message;
    if (incarnation === PACKET_PAIR.tcp && this.#pairMessages < 2) {
      this.#measure(this.#pairMessages++, pair.length + FUNNEL_INFO_BYTES, now);
      return NOTHING;
    }
    return [send(client.buildConnectFunnel({ ...this.#options.funnel, transport: this.#transport }))];
  }

  /** The server may offer the other transport only (3.1.5.5). */
  #disconnectedFunnel(hr: number): readonly ClientAction[] {
    this.#expect(['greeting'], 'ReportDisconnectedFunnel');
    if (this.#transport === 'tcp' || this.#hasRetriedFunnel) throw refusalError(hr, this.#options.href);
    this.#hasRetriedFunnel = true;
    this.#transport = 'tcp';
    return [
      { type: 'note', text: `The server sends nothing over UDP (${hexResult(hr)}), so TCP is used.` },
      send(client.buildConnectFunnel({ ...this.#options.funnel, transport: 'tcp' })),
    ];
  }

  #connectedFunnel(hr: number): readonly ClientAction[] {
    this.#expect(['greeting'], 'ReportConnectedFunnel');
    this.#check(hr);
    this.#state = 'opening';
    return [send(client.buildOpenFile(this.#nextPlayIncarnation(), this.#options.fileName))];
  }

  #openFile(message: Extract<ServerMessage, { type: 'openFile' }>, now: number): readonly ClientAction[] {
    this.#expect(['opening'], 'ReportOpenFile');
    this.#check(message.hr);
    this.#file = message;
    this.#entrySize = message;
    this.#state = 'header';
    return this.#askHeader(now);
  }

  #askHeader(now: number): readonly ClientAction[] {
    const incarnation = this.#headerIncarnation;
    const { first, last } = INCARNATIONS.headers;
    this.#headerIncarnation = incarnation === last ? first : incarnation + 1;
    this.#parts = new HeaderParts(incarnation);
    this.#former.add(incarnation);
    if (this.#transport === 'udp') {
      const { headerSize, bitRate } = this.#entrySize!;
      const { extra, most } = HEADER_TIME;
      this.#headerDue = now + Math.min(most, extra + (headerSize * 8_000) / Math.max(1, bitRate));
    }
    return [send(client.buildReadBlock(this.file.openFileId, incarnation))];
  }

  #askHeaderAgain(now: number): readonly ClientAction[] {
    if (++this.#headerTries > HEADER_RETRIES) {
      throw new WmError('WM_UNREACHABLE', `No datagrams arrive from ${this.#options.href}: UDP may be blocked.`);
    }
    const cancelled = this.#parts!.incarnation;
    return [send(client.buildCancelReadBlock(cancelled)), ...this.#askHeader(now)];
  }

  #headerPart(packet: DataMessage, now: number): readonly ClientAction[] {
    const header = this.#parts!.add(packet);
    if (!header) return NOTHING;
    this.#parts = undefined;
    this.#headerDue = Number.POSITIVE_INFINITY;
    this.#headerTries = 0;
    this.#header = header;
    if (this.#changes) {
      this.#changes = false;
      // Over TCP the packets of the entry follow at once; over UDP when it is asked for.
      this.#accepted = new Set(this.#transport === 'tcp' ? [STREAM_CHANGE_INCARNATION] : []);
      this.#reception.begin(this.#isReverse, now);
      return [{ type: 'change', header }];
    }
    if (this.#state !== 'header') return NOTHING;
    this.#state = 'ready';
    return [{ type: 'opened' }];
  }

  #start(order: PlayOrder, now: number): readonly ClientAction[] {
    const { streams, rate, lasting, speed, position, offset, location } = order;
    const entries = [...streams].map(([number, isWanted]) => ({
      source: isWanted ? undefined : number,
      destination: isWanted ? number : undefined,
      level: isWanted ? 0 : 2,
    }));
    const incarnation = this.#nextPlayIncarnation();
    const goesOn = this.#state === 'streaming';
    this.#confirms = goesOn && this.#transport === 'tcp';
    this.#accepted = new Set(goesOn && this.#transport === 'tcp' ? [...this.#accepted, incarnation] : [incarnation]);
    this.#former.add(this.#started);
    this.#former.delete(incarnation);
    this.#started = incarnation;
    this.#isReverse = rate < 0;
    if (!goesOn || this.#transport === 'udp') this.#reception.begin(this.#isReverse, now);
    this.#state = 'starting';
    const place = { openFileId: this.file.openFileId, incarnation, position, offset, location };
    const start =
      rate === 1
        ? client.buildStartPlaying({
            ...place,
            stop:
              lasting === undefined ? undefined : { milliseconds: Math.max(1, Math.round(lasting)), relative: true },
            ...(this.#version.major >= 9 ? accelerationOf(speed, this.#entrySize?.bitRate ?? 0) : {}),
          })
        : client.buildStartStriding({ ...place, rate });
    return [send(client.buildStreamSwitch(entries)), send(start)];
  }

  #endOfStream(message: Extract<ServerMessage, { type: 'endOfStream' }>, now: number): readonly ClientAction[] {
    const rest = this.#reception.flush().map(mediaOf);
    if (this.#state === 'stopping') {
      this.#state = 'ready';
      return [{ type: 'stopped' }];
    }
    // The answer to an earlier stop, which the end of the content has overtaken.
    const isPlaying = this.#state === 'streaming' || (this.#state === 'starting' && this.#confirms);
    if (!isPlaying) return isErrorResult(message.hr) ? this.#ended(message.hr) : NOTHING;
    const goesOn =
      this.#version.major >= 9
        ? message.hr === 1
        : message.hr === 0 && (this.file.attributes & FILE_ATTRIBUTE.broadcast) !== 0;
    if (!goesOn) return [...rest, ...this.#ended(message.hr)];
    if (this.#version.major < 9) this.#changeDue = now + CHANGE_TIME;
    return rest;
  }

  #ended(hr: number): readonly ClientAction[] {
    this.#state = 'ready';
    return [{ type: 'ended', hr }];
  }

  /** Another entry: over TCP its header follows, over UDP it is asked for (3.1.5.19). */
  #streamChange(message: Extract<ServerMessage, { type: 'streamChange' }>, now: number): readonly ClientAction[] {
    if (this.#state !== 'streaming' && this.#state !== 'starting') return NOTHING;
    this.#state = 'streaming';
    this.#changes = true;
    this.#changeDue = Number.POSITIVE_INFINITY;
    this.#entrySize = message;
    if (this.#transport === 'udp') return this.#askHeader(now);
    this.#parts = new HeaderParts(STREAM_CHANGE_INCARNATION);
    return NOTHING;
  }

  #log(): readonly ClientAction[] {
    const log = this.#options.buildLog(this.file.openFileId);
    return log ? [send(client.buildLogging(log))] : [];
  }

  /** True if datagrams may arrive after the message that says that no more are sent. */
  get #mayHaveDatagramsLeft(): boolean {
    return this.#transport === 'udp' && this.#state === 'streaming';
  }

  /** True if the last packets of a file have not arrived, as far as its packets are counted. */
  get #lacksTail(): boolean {
    const { packetCount, attributes } = this.file;
    const { location } = this.#reception;
    const isCounted = packetCount > 0 && (attributes & FILE_ATTRIBUTE.playlist) === 0 && !this.#isReverse;
    return isCounted && location !== undefined && location < packetCount - 1;
  }

  /** Processes the messages that wait for datagrams, once those are there or are given up. */
  #release(now: number): readonly ClientAction[] {
    if (this.#waiting.length === 0) return NOTHING;
    const { arrivedAt, isWaiting } = this.#reception;
    const isLate = now - this.#waitingSince >= MAX_LINGER;
    const quiet = now - Math.max(arrivedAt, this.#waitingSince);
    if (!isLate && quiet < (isWaiting ? 3 * QUIET_TIME : QUIET_TIME)) return NOTHING;
    if (isLate || this.#askedForTail || !this.#lacksTail) return this.#releaseAll(now);
    this.#askedForTail = true;
    this.#reception.expect(TAIL, now);
    return NOTHING;
  }

  #releaseAll(now: number): readonly ClientAction[] {
    const messages = this.#waiting;
    this.#waiting = [];
    const actions: ClientAction[] = [];
    for (const message of messages) actions.push(...this.#take(message, now));
    return actions;
  }

  /** Measures the time between the two packets of a pair (3.1.5.4, 3.1.5.11). @param size of the packet, in bytes */
  #measure(index: number, size: number, now: number): void {
    if (index === 0) this.#pairAt = now;
    else if (this.#pairAt > 0) this.#bandwidth = Math.round((size * 8_000) / Math.max(0.01, now - this.#pairAt));
  }

  #nextPlayIncarnation(): number {
    const incarnation = this.#playIncarnation;
    const { first, last } = INCARNATIONS.starts;
    this.#playIncarnation = incarnation === last ? first : incarnation + 1;
    return incarnation;
  }

  /** @throws WmError for a failure */
  #check(hr: number): void {
    if (isErrorResult(hr)) throw refusalError(hr, this.#options.href);
  }

  /** @throws MmspError if the session is in another state */
  #expect(states: readonly ClientState[], what: string): void {
    if (!states.includes(this.#state)) throw new MmspError(`The server sent ${what} out of order.`);
  }
}

/** Bytes of a ReportFunnelInfo in its TcpMessageHeader packet, without the random bytes of a packet pair. */
const FUNNEL_INFO_BYTES = TCP_HEADER_SIZE + 48;

function send(message: Buffer): ClientAction {
  return { type: 'send', message };
}

function mediaOf({ payload, location }: DataMessage): ClientAction {
  return { type: 'packet', bytes: payload, location };
}
