import { HR, MESSAGE_ID, readBase } from '../messages/base.js';
import {
  buildBare,
  buildConnectResponse,
  type ConnectRequest,
  type Message,
  type MsbdGroup,
  readMessage,
} from '../messages/messages.js';
import { buildEmptyStreamInfo } from '../messages/stream-info.js';

/** The states of figure 1 of MS-MSBD, and those between a request and its answer and before a connection is gone. */
export type ServerState =
  | 'waiting for REQ_CONNECT'
  | 'connecting'
  | 'streaming'
  | 'streaming and waiting for RES_PING'
  | 'ended'
  | 'refused'
  | 'closed';

/** What a session wants done, in order. */
export type ServerAction =
  | { readonly type: 'connect'; readonly request: ConnectRequest }
  | { readonly type: 'send'; readonly bytes: Buffer }
  /** Close the connection once everything is sent; the client may send more until it closes too. */
  | { readonly type: 'finish' }
  | { readonly type: 'destroy' };

/** The packets that describe a stream, built once for all clients. */
export interface StreamMessages {
  /** IND_STREAMINFO */
  readonly indication: Buffer;
  /** RES_STREAMINFO */
  readonly response: Buffer;
}

/** In ms. @public */
export interface ServerTimers {
  /** From the connection to its REQ_CONNECT. */
  readonly connect: number;
  /** Between two REQ_PINGs (2.2.3); 0 sends none. */
  readonly ping: number;
  /** From a REQ_PING to its RES_PING (3.1.6). */
  readonly answer: number;
  /** From the end, or a refusal, to the client's close. */
  readonly linger: number;
}

/** The waits of a server that sets none. */
export const DEFAULT_TIMERS: ServerTimers = { connect: 10_000, ping: 120_000, answer: 120_000, linger: 30_000 };

const DESTROY: readonly ServerAction[] = [{ type: 'destroy' }];
const NOTHING: readonly ServerAction[] = [];
// REQ_STREAMINFOs accepted in a second. Nobody needs more than one, and each answer may take 64 KiB.
const MAX_ASKED = 16;
const EMPTY = buildEmptyStreamInfo();
const EOS = buildBare('IND_EOS');
const PING = buildBare('REQ_PING');

function send(...bytes: readonly Buffer[]): ServerAction[] {
  return bytes.map((each) => ({ type: 'send', bytes: each }));
}

/** One client's session at the server (MS-MSBD 3.1), without sockets; times are in ms of any monotonic clock. */
export class ServerSession {
  readonly #timers: ServerTimers;
  #state: ServerState = 'waiting for REQ_CONNECT';
  #deadline: number;
  #stream: StreamMessages | undefined;
  // REQ_STREAMINFOs since the last tick, and those that wait for the stream.
  #asked = 0;
  #early = 0;
  // Further REQ_CONNECTs that arrived before the first one was answered.
  #repeated = 0;

  constructor(timers: ServerTimers, now: number) {
    this.#timers = timers;
    this.#deadline = now + timers.connect;
  }

  get state(): ServerState {
    return this.#state;
  }

  /** @param bytes one packet, as MessageReader yields it; no content makes this throw */
  receive(bytes: Buffer, now: number): readonly ServerAction[] {
    if (this.#state === 'refused' || this.#state === 'closed') return NOTHING;
    let message: Message;
    try {
      message = readMessage(bytes);
    } catch {
      // 2.2.8: even a request that cannot be understood is answered.
      if (readBase(bytes).id === MESSAGE_ID.REQ_CONNECT) return this.#connect(undefined, now);
      return this.#state === 'ended' ? NOTHING : this.#destroy();
    }
    if (message.type === 'REQ_CONNECT') return this.#connect(message, now);
    if (this.#state === 'ended') return NOTHING;
    // 3.1.3: REQ_CONNECT comes first; a peer that begins otherwise speaks another protocol.
    if (this.#state === 'waiting for REQ_CONNECT') return this.#destroy();
    return this.#take(message, now);
  }

  /**
   * Answers every REQ_CONNECT with a RES_CONNECT (2.2.8): a second one is refused, which ends the connection (3.1.5.1).
   *
   * @param request undefined if it cannot be understood
   */
  #connect(request: ConnectRequest | undefined, now: number): readonly ServerAction[] {
    if (this.#state === 'connecting') {
      this.#repeated = Math.min(this.#repeated + 1, MAX_ASKED);
      return NOTHING;
    }
    if (!request || this.#state !== 'waiting for REQ_CONNECT') return this.#refused([HR.invalidArgument], now);
    this.#state = 'connecting';
    this.#deadline = Number.POSITIVE_INFINITY;
    return [{ type: 'connect', request }];
  }

  #take(message: Exclude<Message, ConnectRequest>, now: number): readonly ServerAction[] {
    switch (message.type) {
      case 'undefined':
        return NOTHING;
      case 'REQ_STREAMINFO':
        if (++this.#asked > MAX_ASKED) return this.#destroy();
        if (this.#stream) return send(this.#stream.response);
        this.#early++;
        return NOTHING;
      case 'RES_PING':
        if (this.#state === 'streaming and waiting for RES_PING') this.#waitForPing(now);
        return NOTHING;
      default:
        // Only servers send these.
        return this.#destroy();
    }
  }

  /**
   * Grants the request (3.1.5.1).
   *
   * @param group where the packets go, if not to this connection
   * @param inNsc true if the header is in an .nsc file too
   */
  accept(stream: StreamMessages, group: MsbdGroup | undefined, inNsc: boolean, now: number): readonly ServerAction[] {
    if (this.#state !== 'connecting') return NOTHING;
    this.#stream = stream;
    this.#waitForPing(now);
    const early = Array<Buffer>(this.#early).fill(stream.response);
    const granted = send(buildConnectResponse({ hr: HR.ok, inNsc, group }), stream.indication, ...early);
    return this.#repeated === 0 ? granted : [...granted, ...this.#refused(this.#repeats(), now)];
  }

  /** Refuses the request with a reason, and closes. @param hr a failure */
  refuse(hr: number, now: number): readonly ServerAction[] {
    if (this.#state !== 'connecting') return NOTHING;
    return this.#refused([hr, ...this.#repeats()], now);
  }

  /** Answers one REQ_CONNECT for each failure, and closes the connection (3.1.5.1). */
  #refused(results: readonly number[], now: number): readonly ServerAction[] {
    this.#end(now);
    this.#state = 'refused';
    const answers = results.map((hr) => buildConnectResponse({ hr, inNsc: false, group: undefined }));
    return [...send(...answers), { type: 'finish' }];
  }

  /** The failures that answer REQ_CONNECTs that arrived while the first one was pending. */
  #repeats(): readonly number[] {
    return Array<number>(this.#repeated).fill(HR.invalidArgument);
  }

  /**
   * Announces another stream: within a broadcast by IND_STREAMINFO only (2.2.6, 4.2), after its end following IND_EOS
   * (3.1.5.3).
   */
  change(stream: StreamMessages, afterEnd: boolean): readonly ServerAction[] {
    if (!this.streaming) return NOTHING;
    this.#stream = stream;
    return afterEnd ? send(EOS, stream.indication) : send(stream.indication);
  }

  /**
   * Announces that nothing follows (3.1.5.3). The client closes then; if it does not, the server closes after a while.
   */
  end(now: number): readonly ServerAction[] {
    if (!this.streaming) return NOTHING;
    this.#end(now);
    return send(EOS, EMPTY);
  }

  get streaming(): boolean {
    return this.#state === 'streaming' || this.#state === 'streaming and waiting for RES_PING';
  }

  /** Tells the session that the connection is gone. */
  closed(): void {
    this.#state = 'closed';
  }

  /** To be called about once a second (3.1.6). */
  tick(now: number): readonly ServerAction[] {
    this.#asked = 0;
    if (now < this.#deadline) return NOTHING;
    if (this.#state !== 'streaming') return this.#destroy();
    this.#state = 'streaming and waiting for RES_PING';
    this.#deadline = now + this.#timers.answer;
    return send(PING);
  }

  #waitForPing(now: number): void {
    const { ping } = this.#timers;
    this.#state = 'streaming';
    this.#deadline = ping === 0 ? Number.POSITIVE_INFINITY : now + ping;
  }

  #end(now: number): void {
    this.#state = 'ended';
    this.#deadline = now + this.#timers.linger;
  }

  #destroy(): readonly ServerAction[] {
    this.#state = 'closed';
    return DESTROY;
  }
}
