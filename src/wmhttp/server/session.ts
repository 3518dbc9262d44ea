import { AsfError } from '../../asf/error.js';
import { type AsfHeader, DATA_OBJECT_HEAD_SIZE, headerObjectSize, parseHeader } from '../../asf/header.js';
import { type DataPacket, parsePacket } from '../../asf/packet.js';
import { markLength } from '../../asf/padding.js';
import { WmError } from '../../errors.js';
import { type Frame, packetName } from '../../framing/framing.js';
import type { AsfEvent } from '../../media/events.js';
import { type PushPacket, parsePushPacket, S_FALSE, S_OK } from '../messages/packets.js';

/** The default Idle-Timeout in ms (MS-WMHTTP 3.2.2). */
export const IDLE_TIMEOUT = 60_000;

/** The default Inactivity-Timeout in ms (MS-WMHTTP 3.2.2). */
export const INACTIVITY_TIMEOUT = 120_000;

/** The states of MS-WMHTTP 4.6 (figure 6); `Deleted` is `Init` there. */
export type ServerState = 'WaitingForPushStart' | 'Streaming' | 'Deleted';

/** The states within a stream (MS-WMHTTP 4.6.1, figure 7), which persist across the PushStart requests of a session. */
export type PacketState = 'WaitingForPackets' | 'HeaderOrData' | 'EndOfEntry';

/** The actions that the session asks its owner for, in order. */
export type ServerAction =
  /** For the higher layer. The first event is a header, with which publishing begins. */
  | { readonly type: 'event'; readonly event: AsfEvent }
  /** Answer the PushStart request now, even in the middle of its body, and `close` the connection afterwards. */
  | { readonly type: 'respond'; readonly status: number; readonly close: boolean }
  /** Close the connection that the session last used, unless something else uses it. */
  | { readonly type: 'closeConnection' }
  /** The session is gone; `clean` after a $E with Reason 0. */
  | { readonly type: 'delete'; readonly clean: boolean };

/** The waits of one push session. */
export interface ServerSessionOptions {
  /** In ms. */
  readonly idleTimeout?: number | undefined;
  /** In ms. */
  readonly inactivityTimeout?: number | undefined;
}

/**
 * The server's side of a push session (MS-WMHTTP 3.2), without sockets; times are passed in as ms of any monotonic
 * clock. It reads headers and packets, decides which packet may follow which, and runs the two timers. Only
 * Inactivity-Timeout runs between requests, and only Idle-Timeout within a body. Idle-Timeout keeps running if the
 * connection is lost in the middle of a body.
 */
export class ServerSession {
  readonly #idleTimeout: number;
  readonly #inactivityTimeout: number;
  #state: ServerState = 'WaitingForPushStart';
  #packetState: PacketState = 'WaitingForPackets';
  #deadline: number;
  #header: AsfHeader | undefined;
  // The previous packet, as far as it determines what may come next.
  #last: 'start' | 'streamChange' | 'filler' | 'other' = 'start';
  #started = false;
  // True if the connection broke, and no header or packet has arrived on another one.
  #interrupted = false;
  #damagedPackets = 0;
  #packets = 0;

  constructor(now: number, options: ServerSessionOptions = {}) {
    this.#idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT;
    this.#inactivityTimeout = options.inactivityTimeout ?? INACTIVITY_TIMEOUT;
    this.#deadline = now + this.#inactivityTimeout;
  }

  get state(): ServerState {
    return this.#state;
  }

  get packetState(): PacketState {
    return this.#packetState;
  }

  /** When {@link tick} has something to do, unless something happens before. */
  get deadline(): number {
    return this.#deadline;
  }

  /** True if a PushStart request was ever accepted. */
  get started(): boolean {
    return this.#started;
  }

  /** The number of $D packets that were unreadable and dropped. */
  get damagedPackets(): number {
    return this.#damagedPackets;
  }

  /** The number of $D packets that were forwarded. */
  get packets(): number {
    return this.#packets;
  }

  /**
   * Handles a PushSetup request that names this session (MS-WMHTTP 3.2.5.1).
   *
   * @returns the status: 204, or 409 while a PushStart request is in progress
   */
  pushSetup(now: number): number {
    if (this.#state !== 'WaitingForPushStart') return 409;
    this.#deadline = now + this.#inactivityTimeout;
    return 204;
  }

  /**
   * Handles a challenge to a request that names this session (MS-WMHTTP 3.2.5.1, 3.2.5.2): a PushSetup request restarts
   * Inactivity-Timeout, a PushStart request Idle-Timeout. Has no effect while a PushStart request is in progress.
   */
  challenged(request: 'setup' | 'start', now: number): void {
    if (this.#state !== 'WaitingForPushStart') return;
    this.#deadline = now + (request === 'setup' ? this.#inactivityTimeout : this.#idleTimeout);
  }

  /**
   * Handles the head of a PushStart request (MS-WMHTTP 3.2.5.2).
   *
   * @returns undefined if its body may come, or the status to refuse it with: 409 while another one is in progress
   */
  pushStart(now: number): number | undefined {
    if (this.#state !== 'WaitingForPushStart') return 409;
    this.#state = 'Streaming';
    this.#started = true;
    this.#last = 'start';
    this.#deadline = now + this.#idleTimeout;
    return undefined;
  }

  /**
   * Handles a packet of the body (MS-WMHTTP 3.2.5.3 to 3.2.5.7). A packet that is not allowed here ends the session
   * with status 400; a $D whose ASF data packet is unreadable is dropped and counted.
   */
  receive(frame: Frame, now: number): ServerAction[] {
    if (this.#state !== 'Streaming') return [];
    try {
      const packet = parsePushPacket(frame);
      if (!this.#allows(packet)) throw new WmError('WM_PROTOCOL', `${packetName(frame.id)} is not allowed here.`);
      return this.#accept(packet, now);
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      return this.fail(400);
    }
  }

  /**
   * Handles the end of the body (MS-WMHTTP 3.2.5.2.1).
   *
   * @param midPacket true if it ends in the middle of a packet, which is an error
   */
  bodyComplete(midPacket: boolean, now: number): ServerAction[] {
    if (this.#state !== 'Streaming') return [];
    if (midPacket) return this.fail(400);
    this.#state = 'WaitingForPushStart';
    this.#deadline = now + this.#inactivityTimeout;
    return [{ type: 'respond', status: 204, close: false }];
  }

  /**
   * Handles a connection lost in the middle of the body: Idle-Timeout keeps running, and the session can be resumed
   * (MS-WMHTTP 3.2.7.1).
   */
  connectionLost(): void {
    if (this.#state !== 'Streaming') return;
    this.#state = 'WaitingForPushStart';
    this.#interrupted = true;
  }

  /** Restarts Idle-Timeout, because the owner did not read the body for a while and no packet could arrive. */
  resumed(now: number): void {
    if (this.#state === 'Streaming') this.#deadline = now + this.#idleTimeout;
  }

  /** Fires a timer that is due (MS-WMHTTP 3.2.6). */
  tick(now: number): ServerAction[] {
    return this.#state === 'Deleted' || now < this.#deadline ? [] : this.fail(408);
  }

  /** Ends the session from this side: administrative disconnect (MS-WMHTTP 3.2.4.1), takeover, or an error. */
  fail(status: number): ServerAction[] {
    if (this.#state === 'Deleted') return [];
    const goodbye: ServerAction =
      this.#state === 'Streaming' ? { type: 'respond', status, close: true } : { type: 'closeConnection' };
    this.#state = 'Deleted';
    return [goodbye, { type: 'delete', clean: false }];
  }

  #allows({ type }: PushPacket): boolean {
    if (this.#packetState === 'WaitingForPackets') return type === 'header';
    const open = this.#packetState === 'HeaderOrData';
    switch (type) {
      case 'data':
        return open || this.#last === 'filler';
      case 'streamChange':
        return !open || this.#last === 'filler' || this.#last === 'start';
      case 'header':
        // Beyond the specification: encoders that resume with a $H, or that send one after their $C as in WMSP.
        return !open || this.#last === 'streamChange' || this.#last === 'start';
      default:
        return true;
    }
  }

  #accept(packet: PushPacket, now: number): ServerAction[] {
    const last = this.#last;
    this.#last = 'other';
    switch (packet.type) {
      case 'header':
        return this.#newHeader(packet.header, now);
      case 'streamChange':
        this.#last = 'streamChange';
        if (packet.header.length > 0) return this.#newHeader(packet.header, now);
        this.#packetState = 'EndOfEntry';
        this.resumed(now);
        return [];
      case 'data':
        return this.#data(packet.packet, now);
      case 'endOfStream':
        return this.#end(packet.reason);
      case 'filler':
        // Filler is transparent at the start of a body, where more is allowed than after other packets.
        this.#last = last === 'start' ? 'start' : 'filler';
        return [];
    }
  }

  #newHeader(bytes: Buffer, now: number): ServerAction[] {
    const goesOn = this.#interrupted && this.#header?.bytes.equals(bytes);
    this.#interrupted = false;
    this.resumed(now);
    this.#packetState = 'HeaderOrData';
    // A session that is resumed before a PushStart has succeeded begins with $H again (3.1.4.2.1), which is not a new
    // header.
    if (goesOn) return [];
    if (bytes.length !== headerObjectSize(bytes) + DATA_OBJECT_HEAD_SIZE) {
      throw new WmError('WM_PROTOCOL', 'An ASF header is not followed by 50 bytes of its Data Object, or by more.');
    }
    const header = parseHeader(bytes);
    this.#header = header;
    return [{ type: 'event', event: { type: 'header', header } }];
  }

  #data(bytes: Buffer, now: number): ServerAction[] {
    const header = this.#header!;
    if (bytes.length > header.packetSize) {
      throw new WmError('WM_PROTOCOL', `A data packet has ${bytes.length} bytes instead of ${header.packetSize}.`);
    }
    this.resumed(now);
    this.#interrupted = false;
    const actions: ServerAction[] = [];
    if (this.#packetState === 'EndOfEntry') {
      // Legal after filler (3.2.5.7): the entry continues although its end was announced.
      this.#packetState = 'HeaderOrData';
      actions.push({ type: 'event', event: { type: 'header', header } });
    }
    const packet = readPacket(bytes, header.packetSize);
    if (packet) {
      this.#packets++;
      actions.push({ type: 'event', event: { type: 'packet', packet } });
    } else {
      this.#damagedPackets++;
    }
    return actions;
  }

  #end(reason: number): ServerAction[] {
    const moreEntries = reason === S_FALSE;
    const repeated = this.#packetState === 'EndOfEntry';
    this.#packetState = 'EndOfEntry';
    const event: ServerAction = { type: 'event', event: { type: 'end', moreEntries, reason } };
    if (moreEntries) return repeated ? [] : [event];
    this.#state = 'Deleted';
    return [event, { type: 'respond', status: 204, close: true }, { type: 'delete', clean: reason === S_OK }];
  }
}

/** Parses the data packet in `bytes`, and marks its length if it is short; undefined if it is damaged. */
function readPacket(bytes: Buffer, packetSize: number): DataPacket | undefined {
  try {
    const packet = parsePacket(bytes);
    const marked = markLength(packet, packetSize);
    return marked === packet.bytes ? packet : parsePacket(marked);
  } catch (error) {
    if (error instanceof AsfError) return undefined;
    throw error;
  }
}
