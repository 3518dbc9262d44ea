import { randomBytes } from 'node:crypto';
import type { AsfHeader } from '../../asf/header.js';
import { messageOf, WmError } from '../../errors.js';
import type { DatagramOutput } from '../../media/datagrams.js';
import { oneUnit, type PlayerOutput, type WireFormat } from '../../media/wire.js';
import { isRedirect, type Program } from '../../playback/content.js';
import type { Pass } from '../../playback/entrance.js';
import { headerOf } from '../../playback/entry.js';
import type { ChangeAnswer, ChangeTimes, Ending, EntryChange, PlaybackPort, Started } from '../../playback/port.js';
import { ALL_STREAMS, NO_STREAMS, type StreamSelection, switched } from '../../playback/selection.js';
import { PlaybackSession } from '../../playback/session.js';
import { Refusal } from '../../refusal.js';
import { PACKET_PAIR } from '../messages/base.js';
import type { ClientMessage, Funnel } from '../messages/client.js';
import { packetPair, STREAM_CHANGE_INCARNATION } from '../messages/data.js';
import type { ResendRequest } from '../messages/resend.js';
import * as messages from '../messages/server.js';
import { readResponseToken } from '../messages/token.js';
import { challengeOf, givenCredentials, schemesFor } from './credentials.js';
import { factsOf } from './facts.js';
import { HeaderSender } from './header-sender.js';
import type { SessionHost } from './host.js';
import { mmsUrl, orderOf } from './orders.js';
import { HR, resultOf } from './refusals.js';
import { readSubscriber, type Subscriber } from './subscriber.js';
import { dataWire } from './wire.js';

/** Clients in use write 1 into their messages, whatever value they were given. */
const OPEN_FILE_ID = 1;
/**
 * A slow player that learns of the end at once drops what it has not played. It is told when it can have finished, at
 * most this many ms later.
 */
const MAX_END_DELAY = 15_000;

/**
 * Streams for a client that never sends a StreamSwitch: all. The specification says so only for Windows Media Services
 * (3.2.5.11), but msdl and other clients do not select either, and would get nothing.
 */
const UNASKED: StreamSelection = ALL_STREAMS;
/** The states of MS-MMSP 3.2.1, by what a client may send in them. */
type State = 'connect' | 'funnel' | 'open' | 'entering' | 'opened' | 'closed';

/** The longest list of proxies, in characters. */
const MAX_VIA = 2_000;

/** A session's connection to its client. */
export interface SessionLink {
  /** The same object for all messages of a connection: NTLM authenticates a connection. */
  readonly connection: object;
  readonly remoteAddress: string;
  readonly isLocal: boolean;
  /** Bytes written to the connection. */
  readonly bytesWritten: number;
  /** True if datagrams to the address of the connection reach the client: there is no proxy in between. */
  readonly offersUdp: boolean;
  /** Sends a message in a TcpMessageHeader packet. */
  send(message: Buffer): void;
  /** The output over TCP: Data packets on the control connection. */
  readonly tcp: PlayerOutput;
  /** Makes an output that sends Data packets to a UDP port of the client's address. */
  udp(port: number): DatagramOutput;
  /** Ends the connection once everything is sent. */
  end(): void;
}

/**
 * One client of MMSP (MS-MMSP 3.2): takes its messages, sends answers and Data packets. Sockets and timers are the
 * server's.
 */
export class MmspSession implements PlaybackPort {
  readonly playback: PlaybackSession;
  /** nCubs: identifies this client in resend requests. */
  readonly clientId: number;
  readonly #host: SessionHost<MmspSession>;
  readonly #link: SessionLink;
  readonly #gone = new AbortController();
  #state: State = 'connect';
  #subscriber: Subscriber = readSubscriber('');
  /** The server that the client means. */
  #target: string | undefined;
  /** The proxies that the client came through. */
  #via: readonly string[] = [];
  #udp: DatagramOutput | undefined;
  /** True if the client agreed to a packet pair by UDP before its next header (3.2.5.8). */
  #pairByUdp = false;
  #path = '';
  #pass: Pass | undefined;
  readonly #header = new HeaderSender();
  /** playIncarnation of the packets being sent, low 8 bits. */
  #incarnation = 0;
  /** The StartPlaying or StartStriding that has not been answered yet. */
  #starting: { readonly incarnation: number; readonly striding: boolean } | undefined;
  #selection: StreamSelection | undefined;
  #challenged: { readonly cookie: number; readonly incarnation: number; readonly fileName: string } | undefined;
  /** True if the client asked for acceleration: such a client plays what it has before it heeds the end. */
  #isAhead = false;
  /** When a real-time player will have finished the entry, on the host's clock. */
  #playsUntil = 0;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(clientId: number, link: SessionLink, host: SessionHost<MmspSession>) {
    this.clientId = clientId;
    this.#link = link;
    this.#host = host;
    this.playback = new PlaybackSession(this, host.playback);
  }

  get path(): string {
    return this.#path;
  }

  /** The product that the client names. */
  get client(): string {
    return this.#subscriber.text;
  }

  get remoteAddress(): string {
    return this.#link.remoteAddress;
  }

  get transport(): 'udp' | 'tcp' {
    return this.#udp ? 'udp' : 'tcp';
  }

  get user(): string | undefined {
    return this.#pass?.user;
  }

  /** Bytes sent to the client since it connected, framing included. */
  get bytes(): number {
    return this.#link.bytesWritten + (this.#udp?.sentBytes ?? 0);
  }

  /** True until the connection is closed. */
  get connected(): boolean {
    return this.#state !== 'closed';
  }

  /** True while something is sent or awaited; an idle session is closed after the Idle-Timeout. */
  get active(): boolean {
    return this.playback.active;
  }

  /**
   * Takes a message from the client (MS-MMSP 3.2.5). Never waits: an answer that takes time is sent when it is ready.
   *
   * @returns false if the message is out of place, and the connection must be closed
   */
  receive(message: ClientMessage): boolean {
    switch (message.type) {
      case 'connect':
        return this.#in('connect', () => this.#connect(message));
      case 'funnelInfo':
        return this.#in('funnel', () => this.#funnelInfo(message.incarnation));
      case 'connectFunnel':
        return this.#in('funnel', () => this.#connectFunnel(message.funnel));
      case 'openFile':
        return this.#in('open', () => this.#openFile(message.incarnation, message.fileName, message.token));
      case 'securityResponse':
        return this.#in('open', () => this.#securityResponse(message));
      case 'readBlock':
        return this.#opened(message.openFileId, () => this.#readBlock(message.incarnation));
      case 'cancelReadBlock':
        this.#header.cancel();
        return true;
      case 'streamSwitch':
        return this.#in('opened', () => this.#streamSwitch(message));
      case 'startPlaying':
      case 'startStriding':
        return this.#opened(message.openFileId, () => this.#start(message));
      case 'stopPlaying':
        return this.#opened(message.openFileId, () => this.#stopPlaying(message.incarnation));
      case 'logging':
        if (this.#state === 'opened') this.#host.log(this, message.log);
        return true;
      case 'closeFile':
        return this.#opened(message.openFileId, () => this.#link.end());
      case 'pong':
        return true;
      case 'unknown':
        // A newer client may send messages that are unknown here; it gets no answer to them.
        return this.#state !== 'connect';
    }
  }

  /** Ends the session because the connection is gone, or about to be closed. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#gone.abort();
    this.#header.cancel();
    clearTimeout(this.#endTimer);
    this.#host.stopped(this);
    this.playback.stop('closed');
    this.#pass?.leave();
    this.#pass = undefined;
    this.#udp?.close();
  }

  /** Ends the session at an operator's request, and tells the client. */
  kick(): void {
    if (this.#state === 'opened') this.playback.stop('kicked');
    this.#link.end();
  }

  /** Sends lost packets to a UDP client again, as far as they are kept (MS-MMSP 3.2.5.13). */
  resend({ sourceId, numbers }: ResendRequest): void {
    if (!this.#udp || this.#state !== 'opened' || sourceId !== (OPEN_FILE_ID & 0xffff)) return;
    const batch = this.playback.resend(numbers);
    if (batch.ends.length > 0) this.#udp.repeat(batch);
  }

  #in(state: State, work: () => void): boolean {
    if (this.#state !== state) return false;
    work();
    return true;
  }

  /** Ignores requests that name a file other than the open one (3.2.5.8). */
  #opened(openFileId: number, work: () => void): boolean {
    if (this.#state !== 'opened') return false;
    if (openFileId === OPEN_FILE_ID) work();
    return true;
  }

  #connect({ subscriber, incarnation, host, via }: Extract<ClientMessage, { type: 'connect' }>): void {
    this.#subscriber = readSubscriber(subscriber);
    this.#target = host ?? /;\s*Host:\s*([^;]{1,300})/i.exec(subscriber)?.[1]?.trim();
    this.#via =
      via === undefined
        ? []
        : via
            .slice(0, MAX_VIA)
            .split(',')
            .map((hop) => hop.trim());
    this.#state = 'funnel';
    const { version } = this.#host;
    const pairPossible = incarnation === PACKET_PAIR.possible;
    this.#link.send(messages.buildConnectedEx({ version, scheme: 'NTLM' }, pairPossible));
  }

  #funnelInfo(incarnation: number): void {
    if (incarnation === PACKET_PAIR.possible || incarnation === PACKET_PAIR.tcp) {
      for (const size of messages.TCP_PAIR_SIZES) {
        this.#link.send(messages.buildReportFunnelInfo(PACKET_PAIR.tcp, this.clientId, randomBytes(size)));
      }
      return;
    }
    this.#pairByUdp = incarnation === PACKET_PAIR.udp;
    const answer = this.#pairByUdp ? PACKET_PAIR.udp : PACKET_PAIR.none;
    this.#link.send(messages.buildReportFunnelInfo(answer, this.clientId));
  }

  #connectFunnel({ transport, port }: Funnel): void {
    if (transport === 'udp' && !this.#link.offersUdp) {
      // The client may try the other transport on this connection (3.1.5.5).
      this.#link.send(messages.buildDisconnectedFunnel(HR.invalidRequest));
      return;
    }
    if (transport === 'udp') this.#udp = this.#link.udp(port);
    this.#state = 'open';
    this.#link.send(messages.buildConnectedFunnel());
  }

  #openFile(incarnation: number, fileName: string, token: Buffer): void {
    this.#challenged = undefined;
    void this.#enter(incarnation, fileName, token).catch((error: unknown) => this.#host.failed(error));
  }

  #securityResponse({ incarnation, cookie, token }: Extract<ClientMessage, { type: 'securityResponse' }>): void {
    const challenged = this.#challenged;
    if (challenged?.cookie !== cookie || challenged.incarnation !== incarnation) return;
    this.#challenged = undefined;
    void this.#enter(incarnation, challenged.fileName, token).catch((error: unknown) => this.#host.failed(error));
  }

  /** Opens the content that a client names, or challenges the client to log in (3.2.5.6, 3.2.5.7). */
  async #enter(incarnation: number, fileName: string, token: Buffer): Promise<void> {
    const { signal } = this.#gone;
    let wrapped = false;
    // Another file may be named only once this one was refused.
    this.#state = 'entering';
    try {
      const given = token.length > 0 ? readResponseToken(token) : undefined;
      wrapped = given?.scheme === 'ntlm' && given.wrapped;
      const path = this.#host.pathOf(fileName, this.#target);
      const { connection, remoteAddress, isLocal } = this.#link;
      const credentials = {
        connection,
        accepts: [],
        schemes: schemesFor(this.#subscriber.major, isLocal),
        proxied: false,
        via: false,
        ...(given ? { given: givenCredentials(given) } : {}),
      };
      const caller = { remoteAddress, local: isLocal, secure: false, credentials };
      const relayed = { agent: this.#subscriber.text, verb: 'GET', via: this.#via };
      const visitor = { protocol: 'MMSP', transport: 'tcp', client: this.#subscriber.text };
      const pass = await this.#host.entrance.enter({ path, caller, purpose: 'play', visitor, relayed, signal });
      if (isRedirect(pass)) {
        this.#link.send(messages.buildRedirect(mmsUrl(pass.redirect), pass.proxy));
        this.#link.end();
        return;
      }
      await this.#open(incarnation, path, pass);
    } catch (error) {
      if (signal.aborted) return;
      this.#refuse(incarnation, fileName, error, wrapped);
    }
  }

  async #open(incarnation: number, path: string, pass: Pass): Promise<void> {
    const { signal } = this.#gone;
    let program: Program | undefined;
    try {
      program = await pass.open();
      signal.throwIfAborted();
      const { current } = program;
      const header = headerOf(current);
      if (!header || (current.kind === 'live' && !current.broadcast.live)) {
        throw new Refusal('offline', `${path} is offline.`);
      }
      this.#path = path;
      this.#pass = pass;
      this.playback.open(program, (place) => pass.open(place, signal));
      this.#state = 'opened';
      this.#link.send(messages.buildReportOpenFile(incarnation, OPEN_FILE_ID, this.#take(header)));
    } catch (error) {
      program?.close();
      pass.leave();
      throw error;
    }
  }

  /** Takes over the header of the entry that the client is about to learn of. */
  #take(header: AsfHeader): messages.FileFacts {
    const described = factsOf(header, this.playback.current!, this.playback.program!);
    this.#header.take(described);
    return described.facts;
  }

  #refuse(incarnation: number, fileName: string, error: unknown, wrapped: boolean): void {
    this.#state = 'open';
    const refusal = error instanceof Refusal ? error : undefined;
    const token = refusal && challengeOf(refusal, wrapped);
    if (token) {
      const cookie = randomBytes(4).readUInt32LE(0);
      this.#challenged = { cookie, incarnation, fileName };
      this.#link.send(messages.buildSecurityChallenge(incarnation, cookie, token));
      return;
    }
    if (!refusal && !(error instanceof WmError)) this.#host.failed(error);
    this.#host.refused(this, fileName, messageOf(error));
    const hr = refusal ? resultOf(refusal) : HR.unexpected;
    this.#link.send(messages.buildOpenFileFailure(incarnation, hr));
  }

  #readBlock(incarnation: number): void {
    this.#header.cancel();
    if (this.#pairByUdp && this.#udp) {
      this.#pairByUdp = false;
      for (const packet of packetPair(randomBytes)) this.#udp.put(oneUnit(packet));
    }
    this.#link.send(messages.buildReportReadBlock(incarnation));
    this.#header.send(incarnation, this.output);
  }

  #streamSwitch({ entries }: Extract<ClientMessage, { type: 'streamSwitch' }>): void {
    const switches = entries.flatMap(({ source, destination, level }) =>
      destination === undefined
        ? source === undefined
          ? []
          : [{ source: undefined, destination: source, level: 2 as const }]
        : [{ source, destination, level: level === 0 || level === 1 ? (level as 0 | 1) : (2 as const) }],
    );
    this.#selection = switched(this.#selection ?? NO_STREAMS, switches);
    this.playback.select(this.#selection, false);
    this.#link.send(messages.buildReportStreamSwitch());
  }

  /** Handles StartPlaying and StartStriding (3.2.5.11, 3.2.5.12). */
  #start(message: Extract<ClientMessage, { type: 'startPlaying' | 'startStriding' }>): void {
    clearTimeout(this.#endTimer);
    const striding = message.type === 'startStriding';
    const { incarnation } = message;
    if (this.playback.state === 'playing' || this.playback.state === 'starting') {
      // This confirms the entry: the packets that follow have its incarnation, and its position is ignored (3.2.5.11).
      this.#incarnation = incarnation & 0xff;
      this.#reportStarted(incarnation, striding);
      this.playback.confirm();
      this.playback.rewire();
      return;
    }
    if (this.playback.state === 'waiting' && this.#isOver) {
      this.#reportStarted(incarnation, striding);
      this.playback.pause();
      this.#host.stopped(this);
      this.#link.send(messages.buildEndOfStream(incarnation, HR.ok));
      return;
    }
    this.#starting = { incarnation, striding };
    this.#isAhead = message.type === 'startPlaying' && message.acceleration !== undefined;
    this.#incarnation = incarnation & 0xff;
    // The next number would be 255, and the client could take the packet for an earlier one (2.2.2).
    const { number } = this.playback;
    if ((number & 0xff) === 0xff) this.playback.countFrom(number + 1);
    const order = orderOf(message, this.#selection ?? UNASKED);
    const started = this.playback.state === 'waiting' ? this.playback.resume(order) : this.playback.play(order);
    started.catch((error: unknown) => this.#failStart(error));
  }

  /** True if a live entry has ended, and nothing follows. */
  get #isOver(): boolean {
    const { current } = this.playback;
    return current?.kind === 'live' && !current.broadcast.live;
  }

  #failStart(error: unknown): void {
    const starting = this.#starting;
    this.#starting = undefined;
    if (!(error instanceof WmError)) this.#host.failed(error);
    const hr = error instanceof Refusal ? resultOf(error) : HR.unexpected;
    if (starting) this.#reportStarted(starting.incarnation, starting.striding, hr);
    else this.#link.send(messages.buildEndOfStream(this.#incarnation, hr));
  }

  #reportStarted(incarnation: number, striding: boolean, hr: number = HR.ok): void {
    this.#link.send(
      striding
        ? messages.buildReportStartStriding(incarnation, hr)
        : messages.buildStartedPlaying(incarnation, OPEN_FILE_ID, hr),
    );
  }

  #stopPlaying(incarnation: number): void {
    clearTimeout(this.#endTimer);
    this.#starting = undefined;
    this.playback.pause();
    this.#host.stopped(this);
    this.#link.send(messages.buildEndOfStream(incarnation, HR.ok));
  }

  /** For the playback. */
  get output(): PlayerOutput {
    return this.#udp ?? this.#link.tcp;
  }

  /** For the playback. */
  wire(header: AsfHeader): WireFormat {
    return dataWire(this.#incarnation, header.packetSize, this.#subscriber.isServer);
  }

  /** For the playback. */
  get changes(): ChangeTimes {
    return { lag: 0, quietAfterSelect: 0, confirmFirst: false };
  }

  /**
   * For the playback: announces the next entry (3.2.4.2). Over TCP its header and data follow at once; over UDP the
   * client asks for them.
   */
  announce({ header }: EntryChange): ChangeAnswer {
    this.#link.send(messages.buildStreamChange(this.#take(header)));
    if (this.#udp) return 'wait';
    this.#incarnation = STREAM_CHANGE_INCARNATION;
    this.#header.send(STREAM_CHANGE_INCARNATION, this.output);
    return 'go on';
  }

  /** For the playback. */
  starting({ position, pace }: Started): void {
    const { current } = this.playback;
    this.#playsUntil = this.#host.playback.now();
    if (current?.kind === 'file' && !this.#isAhead) {
      const left = pace.rate < 0 ? (position ?? 0) : current.file.durationMs - (position ?? 0);
      this.#playsUntil += Math.min(Math.max(0, left), pace.limit?.milliseconds ?? left) / Math.abs(pace.rate);
    }
    const starting = this.#starting;
    this.#starting = undefined;
    if (starting) this.#reportStarted(starting.incarnation, starting.striding);
    this.#host.started(this);
  }

  /** For the playback. */
  ended(how: Ending, _number: number, reason: number): void {
    if (how === 'more-follows') {
      this.#link.send(messages.buildEndOfStream(this.#incarnation, HR.moreFollows));
      return;
    }
    this.#host.stopped(this);
    const hr = how === 'failed' || how === 'kicked' ? reason || HR.unexpected : HR.ok;
    const send = () => this.#link.send(messages.buildEndOfStream(this.#incarnation, hr));
    const delay = hr === HR.ok ? Math.min(MAX_END_DELAY, this.#playsUntil - this.#host.playback.now()) : 0;
    if (delay > 0) this.#endTimer = setTimeout(send, delay);
    else send();
  }
}
