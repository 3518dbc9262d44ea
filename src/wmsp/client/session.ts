import { WmError } from '../../errors.js';
import { PACKET_ID, packetName } from '../../framing/framing.js';
import { hexResult, isErrorResult } from '../../hresult.js';
import type { ResponseHead } from '../../http/message.js';
import { statusError } from '../../http/status-error.js';
import type { StreamSwitch } from '../../playback/selection.js';
import { PragmaTokens } from '../messages/pragma.js';
import type { WmspRequestType } from '../messages/requests.js';
import { NS_S_CHANGENOTICE_BACKWARD } from './errors.js';
import { ServerKnowledge } from './knowledge.js';
import { elsewhere, isSuccess, isViaHttp10, refusalNote } from './outcome.js';
import { HEADER_SHAPE, ObjectAssembler, parseMetadata, type WmspPacket } from './packets.js';
import type { ClientRequest, PlayParameters } from './requests.js';
import * as requests from './requests.js';
import type {
  ClientAction,
  ClientSessionOptions,
  ClientState,
  HeaderOccasion,
  KeepAliveMode,
} from './session-actions.js';

const PACKET_PAIR_BYTES = 512;
const ID = PACKET_ID;

/**
 * The client role of MS-WMSP 3.1, without sockets and clocks. Its methods are the events of 3.1.4 to 3.1.6; they return
 * the actions to perform. `now` is a time in ms of a monotonic clock.
 *
 * It follows the specification strictly unless it is `tolerant`. Then a server may lack a Server header, in which case
 * the client judges by the data. $H may arrive instead of $M and vice versa, headers may arrive in the middle of a
 * stream, packets of unknown types are ignored, and a SelectStream or Log may be refused.
 *
 * Every method throws WmError: WM_PROTOCOL, WM_NO_INPUT, WM_AUTH_REFUSED, WM_UNREACHABLE for the server's answers,
 * WM_SERVER_GONE for an error HRESULT or a body that ends too early.
 */
export class WmspClientSession {
  /** The knowledge about the server, from its responses. */
  readonly peer: ServerKnowledge;
  readonly #options: ClientSessionOptions;
  #state: ClientState = 'INIT';
  #mode: KeepAliveMode = 'non-pipelined';
  #keepAliveDue: number | undefined;
  #pipelineTestAllowed = false;
  #testing = false;
  #testDataSeen = false;
  #packetPairsExpected = 0;
  #packetPairArrival = 0;
  #expectedPackets: ReadonlySet<number> = new Set();
  #expectedResponses: WmspRequestType[] = [];
  readonly #headerPieces: ObjectAssembler;
  readonly #metadataPieces = new ObjectAssembler('$M', undefined, 1024 * 1024);
  #cause: HeaderOccasion = 'describe';
  #play: PlayParameters | undefined;
  // True if the current playlist entry was requested with Speed.
  #speedAsked = false;
  #expectNewHeader = false;
  // True after a Stop; the rest of the stream is then ignored.
  #stopping = false;

  constructor(options: ClientSessionOptions) {
    this.#options = options;
    this.peer = new ServerKnowledge(options);
    this.#headerPieces = new ObjectAssembler('$H', options.tolerant ? HEADER_SHAPE : undefined);
  }

  get state(): ClientState {
    return this.#state;
  }

  get mode(): KeepAliveMode {
    return this.#mode;
  }

  /** When to call {@link keepAliveExpired}; undefined while the timer is not running. */
  get keepAliveDue(): number | undefined {
    return this.#keepAliveDue;
  }

  /** The number of responses that are still due on the streaming connection. */
  get responsesDue(): number {
    return this.#expectedResponses.length;
  }

  /** Requests content information (3.1.4.2). */
  describe(): ClientAction[] {
    const { packetPair, pipelined } = this.#options;
    // The text has the condition the wrong way round: the token is for servers from 5.0 (2.2.1.4.14).
    const measure = packetPair && this.peer.mayBeAtLeast(5) && this.peer.has('srvppair');
    this.#state = 'INIT';
    this.#cause = 'describe';
    this.#expectedPackets = new Set();
    return this.#sendOnStream(requests.describeRequest(this.#context(pipelined), measure, pipelined));
  }

  /** Starts streaming (3.1.4.3): with the test of the pipelined mode if the server allows it, then with Play. */
  startStreaming(play: PlayParameters): ClientAction[] {
    this.#play = play;
    if (!this.#pipelineTestAllowed || this.#mode === 'pipelined') return this.#sendPlay();
    this.#testing = true;
    this.#testDataSeen = false;
    const request = requests.pipelineRequest(this.#context(true));
    return [...this.#sendOnStream(request), ...this.#sendOnStream(request)];
  }

  /** Continues without the pipelined mode if the failed streaming connection was only its test; else does nothing. */
  pipelineTestFailed(): ClientAction[] {
    if (!this.#testing) return [];
    this.connectionLost();
    return this.#endPipelineTest(false);
  }

  /** Changes the selected streams (3.1.4.4). @param changes only the streams that change */
  selectStreams(changes: readonly StreamSwitch[]): ClientAction[] {
    if (!this.peer.has('sswitch')) {
      return [{ type: 'note', text: 'The server cannot switch streams while it sends.' }];
    }
    const request = requests.selectStreamRequest(this.#context(), changes, this.#play?.prediction ?? true);
    return this.#mode === 'pipelined' ? this.#sendOnStream(request) : this.#sendOnOwn(request);
  }

  /** Selects the streams of a new playlist entry (3.1.4.5). @param play with the complete selection */
  nextEntry(play: PlayParameters): ClientAction[] {
    this.#play = play;
    this.#state = 'STREAMING';
    this.#expectedPackets = new Set([ID.data, ID.endOfStream, ID.streamChange]);
    this.#speedAsked = this.#mode === 'pipelined' && requests.asksForSpeed(this.#context(), play);
    if (this.#mode === 'pipelined') return this.#sendOnStream(requests.playNextEntryRequest(this.#context(), play));
    return this.#sendOnOwn(requests.selectStreamRequest(this.#context(), play.streams, play.prediction));
  }

  /** Stops streaming (3.1.4.6). @param streamOpen true if the streaming connection is open */
  stopStreaming(now: number, streamOpen: boolean): ClientAction[] {
    const actions: ClientAction[] = [];
    const wasStreaming = this.#state === 'STREAMING';
    if (this.#mode === 'pipelined' && streamOpen) {
      this.#stopping = true;
      actions.push(...this.#sendOnStream(requests.stopRequest(this.#context())));
    } else {
      actions.push({ type: 'closeStream' });
      this.connectionLost();
    }
    if (wasStreaming) actions.push(...this.#log(streamOpen));
    this.#turnIdle(now);
    return actions;
  }

  /**
   * Records that the player has finished the current playlist entry (3.1.4.8). The server gets a remote-log event if it
   * wants one, and if the content arrived faster than it was played. Call it before {@link nextEntry}.
   */
  renderingFinished(): ClientAction[] {
    if (!this.#submitsRemoteLog) return [];
    const log = this.#options.buildLog('rendering', 'xml');
    if (log === undefined) return [];
    this.#speedAsked = false;
    const request = requests.remoteLogRequest(this.#context(false), this.peer.url.href, log);
    return [{ type: 'send', on: 'own', request }];
  }

  /**
   * Forwards a remote event of a client of this one (2.2.2.9). @param body its body @param agent that client's
   * User-Agent
   */
  forward(body: Buffer, agent: string): ClientAction[] {
    const request = requests.eventRequest(
      { ...this.#context(false), identity: { ...this.#options.identity, text: agent } },
      body,
    );
    return [{ type: 'send', on: 'own', request }];
  }

  /** Handles the expiry of the KeepAlive timer (3.1.6.1). @param streamOpen true if the streaming connection is open */
  keepAliveExpired(now: number, streamOpen: boolean): ClientAction[] {
    const actions =
      this.#mode === 'pipelined' && streamOpen
        ? this.#sendOnStream(requests.keepAliveOptions(this.#context()))
        : this.#sendOnOwn(requests.keepAliveRequest(this.#context()));
    this.#restartKeepAlive(now);
    return actions;
  }

  /** Handles the loss of the streaming connection: no more answers arrive on it. */
  connectionLost(): void {
    this.#expectedResponses = [];
    this.#expectedPackets = new Set();
    this.#stopping = false;
    this.#headerPieces.end();
    this.#metadataPieces.end();
  }

  /** Handles a response on the streaming connection, which belongs to the oldest request there (3.1.5.3). */
  streamResponse(head: ResponseHead, now: number): ClientAction[] {
    const type = this.#expectedResponses.shift();
    if (type === undefined) throw new WmError('WM_PROTOCOL', 'The server answered without a request.');
    this.peer.response(head);
    switch (type) {
      case 'Describe':
        return this.#describeResponse(head);
      case 'Pipeline':
        return this.#pipelineResponse(head);
      case 'Play':
        return this.#playResponse(head);
      case 'PlayNextEntry':
        if (!isSuccess(head)) throw statusError(head, this.peer.url.href);
        return [];
      case 'Stop':
        this.#stopping = false;
        this.#turnIdle(now);
        return [];
      default:
        return refusalNote(type, head);
    }
  }

  /** Handles a response to a request on its own connection. */
  sideResponse(type: WmspRequestType, head: ResponseHead): ClientAction[] {
    this.peer.response(head);
    return refusalNote(type, head);
  }

  /** Handles the end of a Describe body. @returns the header that nothing else has ended (tolerant only) */
  describeEnded(): ClientAction[] {
    return this.#endPieces(undefined);
  }

  /** Handles the end of a response body on the streaming connection. */
  bodyEnded(): void {
    if (this.#headerPieces.pending && this.#state === 'INIT') {
      throw new WmError('WM_PROTOCOL', `The answer of ${this.peer.url.authority} ends inside the ASF header.`);
    }
    if (this.#expectedResponses.length > 0 || this.#stopping) return;
    const waits = this.#expectedPackets.size > 0 && !this.#isAtEnd;
    if (waits) throw new WmError('WM_SERVER_GONE', `${this.peer.url.authority} ended the stream without notice.`);
  }

  /** Handles a packet in a response body on the streaming connection (3.1.5.2). */
  packet(packet: WmspPacket, now: number): ClientAction[] {
    if (this.#stopping) return [];
    const ended = this.#endPieces(packet.id);
    // Everything after the header of a Describe is ignored, since some servers continue with $D.
    if (this.#state === 'INIT' && ended.some(({ type }) => type === 'header')) return ended;
    return [...ended, ...this.#expectedPacket(packet, now)];
  }

  #expectedPacket(packet: WmspPacket, now: number): ClientAction[] {
    const { id } = packet;
    if (!this.#expectedPackets.has(id) && !this.#toleratesNow(id)) {
      const expected = [...this.#expectedPackets].map(packetName).join(' or ');
      throw new WmError('WM_PROTOCOL', `A ${packetName(id)} packet came instead of ${expected || 'none'}.`);
    }
    switch (id) {
      case ID.packetPair:
        return this.#packetPair(now);
      case ID.metadata:
        return this.#metadataPacket(packet);
      case ID.header:
        return this.#headerPacket(packet);
      case ID.data:
        return this.#dataPacket(packet);
      case ID.endOfStream:
        return this.#endOfStream(packet, now);
      case ID.streamChange:
        return this.#streamChange(packet, now);
      case ID.testData:
        this.#testDataSeen = this.#testDataSeen || this.#expectedPackets.has(ID.testData);
        if (this.#testDataSeen) this.#expectedPackets = new Set();
        return [];
      default:
        return [];
    }
  }

  get #isAtEnd(): boolean {
    return this.#expectedPackets.size === 1 && this.#expectedPackets.has(ID.endOfStream);
  }

  #context(http11 = this.#mode === 'pipelined') {
    return this.peer.context(http11);
  }

  #sendOnStream(request: ClientRequest): ClientAction[] {
    this.#keepAliveDue = undefined;
    this.#expectedResponses.push(request.type);
    return [{ type: 'send', on: 'stream', request }];
  }

  #sendOnOwn(request: ClientRequest): ClientAction[] {
    this.#keepAliveDue = undefined;
    return [{ type: 'send', on: 'own', request }];
  }

  #sendPlay(): ClientAction[] {
    const play = this.#play!;
    this.#cause = 'play';
    this.#stopping = false;
    this.#speedAsked = requests.asksForSpeed(this.#context(), play);
    return this.#sendOnStream(requests.playRequest(this.#context(), play));
  }

  /** Handles a Describe response (3.1.5.5). */
  #describeResponse(head: ResponseHead): ClientAction[] {
    const away = elsewhere(head, 'Describe', this.peer.url.href);
    if (away) return [away];
    const pragma = new PragmaTokens(head.headers.all('Pragma'));
    const offered = this.#options.pipelined && pragma.flag('pipeline-experiment');
    this.#pipelineTestAllowed = offered && !isViaHttp10(head);
    this.peer.contentResponse(head);
    this.#packetPairsExpected = pragma.flag('packet-pair-experiment') ? 3 : 0;
    this.#expectedPackets = this.#packetPairsExpected > 0 ? new Set([ID.packetPair]) : this.#entryStart();
    return [];
  }

  /** Handles a Pipeline response (3.1.5.9). */
  #pipelineResponse(head: ResponseHead): ClientAction[] {
    const isFirst = this.#expectedResponses[0] === 'Pipeline';
    if (isFirst) {
      this.#expectedPackets = new Set([ID.testData]);
      return [];
    }
    this.#expectedPackets = new Set();
    const works = new PragmaTokens(head.headers.all('Pragma')).number('pipeline-result') === 1;
    return this.#endPipelineTest(works && isSuccess(head) && this.#testDataSeen);
  }

  #endPipelineTest(works: boolean): ClientAction[] {
    this.#mode = works ? 'pipelined' : 'non-pipelined';
    this.#testing = false;
    this.#pipelineTestAllowed = false;
    return this.#sendPlay();
  }

  /** Handles a Play response (3.1.5.11). */
  #playResponse(head: ResponseHead): ClientAction[] {
    const away = elsewhere(head, 'Play', this.peer.url.href);
    if (away) return [away];
    const pragma = new PragmaTokens(head.headers.all('Pragma'));
    this.peer.contentResponse(head);
    this.#state = 'STREAMING';
    // xResetStrm is like a $C, but without a PlayNextEntry: it announces the header that a Play response has anyway.
    this.#expectNewHeader = pragma.flag('expect-new-header');
    this.#expectedPackets = this.#entryStart();
    return [];
  }

  /**
   * Returns the packets that may begin an entry (3.1.5.5, 3.1.5.11, 3.1.5.14); only clients from 9.0 get $M (3.2.4.2).
   */
  #entryStart(): ReadonlySet<number> {
    if (this.#options.tolerant) return new Set([ID.header, ID.metadata]);
    if ((this.peer.server?.major ?? 0) < 9 || this.#options.identity.major < 9) return new Set([ID.header]);
    return this.peer.server?.token === 'Cougar' ? new Set([ID.metadata]) : new Set([ID.header, ID.metadata]);
  }

  /** True for packets that a tolerant client accepts out of turn. */
  #toleratesNow(id: number): boolean {
    if (!this.#options.tolerant) return false;
    switch (id) {
      case ID.packetPair:
        return false;
      case ID.data:
        // A server may continue with the previous entry before SelectStream, but not before a header.
        return this.#state !== 'INIT' && !this.#isAtEnd && !this.#expectedPackets.has(ID.header);
      case ID.header:
      case ID.metadata:
      case ID.streamChange:
      case ID.endOfStream:
        return this.#state !== 'INIT';
      default:
        return true;
    }
  }

  /** Handles a $P packet (3.1.5.6). */
  #packetPair(now: number): ClientAction[] {
    const left = --this.#packetPairsExpected;
    if (left === 2) this.#packetPairArrival = now;
    if (left === 0) this.#expectedPackets = this.#entryStart();
    const seconds = (now - this.#packetPairArrival) / 1000;
    if (left !== 1 || seconds <= 0) return [];
    return [{ type: 'bandwidth', bitsPerSecond: Math.round((PACKET_PAIR_BYTES * 8) / seconds) }];
  }

  /** Handles a $M packet (3.1.5.7). */
  #metadataPacket(packet: WmspPacket): ClientAction[] {
    this.#expectedPackets = new Set([ID.metadata]);
    const object = this.#metadataPieces.add(packet);
    return object ? this.#wholeMetadata(object) : [];
  }

  #wholeMetadata(object: Buffer): ClientAction[] {
    const metadata = parseMetadata(object);
    this.peer.metadataPacket(metadata);
    this.#expectedPackets = new Set([ID.header]);
    return [{ type: 'metadata', metadata }];
  }

  /** Handles a $H packet (3.1.5.8). */
  #headerPacket(packet: WmspPacket): ClientAction[] {
    const isExpected = this.#expectedPackets.has(ID.header) || this.#headerPieces.pending;
    if (!isExpected && this.#cause !== 'next') this.#cause = 'unannounced';
    this.#expectedPackets = new Set([ID.header]);
    const bytes = this.#headerPieces.add(packet);
    return bytes ? this.#wholeHeader(bytes) : [];
  }

  /**
   * Ends an object whose last piece was not marked, because something else follows (tolerant only). @param id of what
   * follows
   */
  #endPieces(id: number | undefined): ClientAction[] {
    if (!this.#options.tolerant) return [];
    const metadata = id === ID.metadata ? undefined : this.#metadataPieces.end();
    const header = id === ID.header ? undefined : this.#headerPieces.end();
    return [...(metadata ? this.#wholeMetadata(metadata) : []), ...(header ? this.#wholeHeader(header) : [])];
  }

  #wholeHeader(bytes: Buffer): ClientAction[] {
    const cause = this.#cause;
    if (this.#state === 'STREAMING') {
      const next = this.#expectNewHeader ? [ID.streamChange] : [ID.data, ID.endOfStream];
      this.#expectedPackets = new Set(next);
      this.#expectNewHeader = false;
    } else this.#expectedPackets = new Set();
    return [{ type: 'header', bytes, cause }];
  }

  /** Handles a $D packet (3.1.5.12). */
  #dataPacket({ location, payload }: WmspPacket): ClientAction[] {
    this.#keepAliveDue = undefined;
    this.#state = 'STREAMING';
    if (this.#cause === 'next') this.#cause = 'unannounced';
    this.#expectedPackets = new Set([ID.streamChange, ID.data, ID.endOfStream]);
    return [{ type: 'data', location, bytes: payload }];
  }

  /** Handles a $E packet (3.1.5.13). */
  #endOfStream({ reason }: WmspPacket, now: number): ClientAction[] {
    const actions: ClientAction[] = [];
    const wasStreaming = this.#state === 'STREAMING';
    // Also if more entries were promised, but there are none.
    const isNews =
      wasStreaming || isErrorResult(reason) || (reason !== 1 && this.#expectedPackets.has(ID.streamChange));
    if (isNews) actions.push({ type: 'end', reason });
    if (wasStreaming) actions.push(...this.#log(true));
    this.#turnIdle(now);
    if (reason === 1) this.#cause = 'next';
    // Anything other than "more entries follow" is an end (figure 21).
    this.#expectedPackets = new Set([reason === 1 ? ID.streamChange : ID.endOfStream]);
    return actions;
  }

  /** Handles a $C packet (3.1.5.14). */
  #streamChange({ reason }: WmspPacket, now: number): ClientAction[] {
    if (isErrorResult(reason)) {
      throw new WmError('WM_SERVER_GONE', `The server changed the stream with the error ${hexResult(reason)}.`);
    }
    // A $C need not follow a $E (3.2.4.1); the log of the entry is sent nevertheless (4.5.2).
    const actions = this.#state === 'STREAMING' ? this.#log(true) : [];
    if (reason === NS_S_CHANGENOTICE_BACKWARD) {
      this.#turnIdle(now);
      this.#expectedPackets = new Set();
      return [...actions, { type: 'movedBack' }];
    }
    if (this.peer.has('predstrm')) this.#state = 'STREAMING';
    else this.#turnIdle(now);
    this.#cause = 'change';
    this.#expectedPackets = this.#entryStart();
    return actions;
  }

  /**
   * Sends a Log of what was streamed: on the streaming connection in pipelined mode, else on its own (3.1.4.6,
   * 3.1.5.13).
   */
  #log(streamOpen: boolean): ClientAction[] {
    const { server, clientId } = this.peer;
    if (!server || clientId === undefined) return [];
    const kind = this.#submitsRemoteLog ? 'streaming' : 'legacy';
    const form = kind === 'streaming' || (server.token === 'Cougar' && server.major >= 9) ? 'xml' : 'line';
    const text = this.#options.buildLog(kind, form);
    if (text === undefined) return [];
    const onStream = this.#mode === 'pipelined' && streamOpen;
    const request = requests.logRequest(this.#context(onStream), form, text);
    return onStream ? this.#sendOnStream(request) : this.#sendOnOwn(request);
  }

  get #submitsRemoteLog(): boolean {
    return this.#speedAsked && this.peer.subscribesTo('remote-log');
  }

  #turnIdle(now: number): void {
    this.#state = 'IDLE';
    this.#restartKeepAlive(now);
  }

  #restartKeepAlive(now: number): void {
    // A KeepAlive needs a session to name, and a server that knows its token (2.2.1.4.34).
    const isPossible = this.peer.clientId !== undefined && (this.peer.server?.major ?? 0) >= 5;
    this.#keepAliveDue = isPossible ? now + this.peer.keepAliveTimeout : undefined;
  }
}
