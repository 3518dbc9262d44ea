import { ACCEPTED_SCHEMES } from '../../auth/schemes.js';
import { WmError } from '../../errors.js';
import { type Cookie, parseSetCookies } from '../../http/cookies.js';
import type { Field, ResponseHead } from '../../http/message.js';
import { isPushId, PUSH_ID } from '../messages/cookies.js';
import {
  buildSetupBody,
  DEFAULT_USER_AGENT,
  isMediaServer,
  MAX_CONTENT_LENGTH,
  receivedPackets,
  requestFields,
} from '../messages/messages.js';
import {
  dataPacket,
  endPacket,
  fillerPackets,
  headerPacket,
  S_FALSE,
  S_OK,
  streamChangePacket,
} from '../messages/packets.js';
import { type PushRefusal, pushRefusal } from './refusal.js';
import type {
  ClientAction,
  ClientRequest,
  ClientSessionOptions,
  ClientState,
  PushSessionState,
} from './session-actions.js';

interface Pending {
  readonly kind: 'streamChange' | 'data' | 'endOfStream';
  readonly bytes: Buffer;
  readonly reason: number;
}

// In bytes: how much of a body is kept for another attempt with credentials, which servers ask for at the start.
const MAX_UNANSWERED = 1024 * 1024;

// MS-WMHTTP 3.1.4.2.1; proxies hold back or cut endless bodies.
const PROXY_SECONDS = 60;

// The beginning of a NEGOTIATE_MESSAGE in base64 (MS-NLMP 2.2.1.1).
const NTLM_NEGOTIATE = /^(?:NTLM|Negotiate) TlRMTVNTUAAB/i;

/**
 * The client's side of a push session (MS-WMHTTP 3.1), without sockets and clocks. It decides what goes into which
 * PushStart body, when a body is filled up, and what waits for the next one.
 */
export class PushClientSession {
  #state: ClientState = 'Init';
  #pushId = '0';
  #cookies: Cookie[] = [];
  #usingProxy = false;
  #lengthRemaining = 0;
  #answeredEarly = false;
  // True if a PushStart that contains the header has succeeded, or is being sent.
  #headerSent = false;
  #header: Buffer | undefined;
  #packetSize = 0;
  #bitrate = 0;
  #entryEnded = false;
  #lastPacketQueued = false;
  readonly #queue: Pending[] = [];
  readonly #options: ClientSessionOptions;
  #packets = 0;
  #bytes = 0;
  #confirmed = 0;
  // The data sent in this body so far; undefined once it is too much, or was taken back.
  #unanswered: Pending[] | undefined;
  #unansweredBytes = 0;
  #bodyLeft = 0;
  #started = false;
  #resumed = false;
  #received: number | undefined;

  constructor(options: ClientSessionOptions = {}) {
    this.#options = options;
    const { resume } = options;
    if (!resume) return;
    this.#resumed = true;
    this.#pushId = resume.pushId;
    this.#cookies = [...resume.cookies];
    this.#started = resume.started;
    this.#packets = resume.packets;
  }

  get state(): ClientState {
    return this.#state;
  }

  /** The push-id that the server gave; "0" before that (MS-WMHTTP 3.1.1). */
  get pushId(): string {
    return this.#pushId;
  }

  /** True if requests go through a proxy (MS-WMHTTP 3.1.1). */
  get usingProxy(): boolean {
    return this.#usingProxy;
  }

  /** The number of bytes that the body of the PushStart request still lacks (MS-WMHTTP 3.1.1). */
  get lengthRemaining(): number {
    return this.#lengthRemaining;
  }

  /** The number of bytes that a body still lacked when it was refused with 401 or 407. */
  get bodyLeft(): number {
    return this.#bodyLeft;
  }

  /** True if $D packets were sent in the current body. */
  get hasSentData(): boolean {
    return this.#unanswered === undefined || this.#unanswered.some(({ kind }) => kind === 'data');
  }

  /** The number of packets that wait for the next PushStart request. */
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * The number of $D packets handed out for sending in this session; those sent again on another connection count once.
   */
  get packets(): number {
    return this.#packets;
  }

  /** The number of $D packets that responses to PushStart requests have acknowledged. */
  get confirmed(): number {
    return this.#confirmed;
  }

  /** True if the server has resumed the requested session; known after PushSetup. */
  get resumed(): boolean {
    return this.#resumed;
  }

  /** The number of $D packets that the server says it has of the resumed session; undefined if it does not say. */
  get received(): number | undefined {
    return this.#received;
  }

  /** For {@link ClientSessionOptions.resume} on another connection. */
  get resumable(): PushSessionState {
    return { pushId: this.#pushId, cookies: this.#cookies, started: this.#started, packets: this.#packets };
  }

  /** The number of bytes of PushStart bodies handed out for sending, including filler. */
  get bytes(): number {
    return this.#bytes;
  }

  /** True after a header and before the end of the last entry; a $E is then needed before closing. */
  get needsEnd(): boolean {
    return this.#header !== undefined && !this.#lastPacketQueued && this.#state !== 'End';
  }

  /** Records whether the connection goes to a proxy (MS-WMHTTP 3.1.4.1, 3.1.5.1). */
  setProxy(usingProxy: boolean): void {
    this.#usingProxy = usingProxy;
  }

  /**
   * Builds the PushSetup request (MS-WMHTTP 3.1.4.1.1). It has no body during an NTLM exchange, as in the sample of
   * 4.8.
   *
   * @throws WmError WM_USAGE if the template is not a path
   */
  pushSetup(host: string, credentials: readonly Field[] = []): ClientRequest {
    const { template, autoDestroy } = this.#options;
    const directives = buildSetupBody({ template, autoDestroy });
    const body = credentials.some(([, value]) => NTLM_NEGOTIATE.test(value)) ? Buffer.alloc(0) : directives;
    this.#state = 'WaitingForPushSetupResponse';
    return { fields: this.#fields('setup', host, body.length, credentials), body };
  }

  /**
   * Builds the PushStart request (MS-WMHTTP 3.1.4.2.1), and the packets that can go into it at once.
   *
   * @throws WmError WM_FAILED if PushSetup has not succeeded, or there is no ASF header yet
   */
  pushStart(host: string, credentials: readonly Field[] = []): { request: ClientRequest; actions: ClientAction[] } {
    if (this.#state !== 'PushSetupComplete' || !this.#header) {
      throw new WmError('WM_FAILED', 'PushStart needs a PushSetup that succeeded, and an ASF header.');
    }
    const first = this.#headerSent ? undefined : headerPacket(this.#header);
    const contentLength = this.#contentLength(first?.length ?? 0);
    this.#lengthRemaining = contentLength;
    this.#answeredEarly = false;
    this.#state = 'PushStart_InProgress';
    this.#unanswered = [];
    this.#unansweredBytes = 0;
    const request = { fields: this.#fields('start', host, contentLength, credentials), body: undefined };
    const actions: ClientAction[] = [];
    if (first) {
      this.#headerSent = true;
      this.#send(first, actions);
    }
    this.#flush(actions);
    return { request, actions };
  }

  /**
   * Handles the head of the response to the last request (MS-WMHTTP 3.1.5).
   *
   * @throws WmError WM_AUTH_REFUSED, WM_PUSH_REFUSED, or WM_PROTOCOL if the server is not a Windows Media server
   */
  response(head: ResponseHead): ClientAction[] {
    if (this.#state === 'End') return [];
    const setup = this.#state === 'WaitingForPushSetupResponse';
    const success = head.status >= 200 && head.status < 300;
    if (!success) {
      const location = head.headers.get('Location');
      if (setup && head.status >= 300 && head.status < 400 && location !== undefined) {
        return [{ type: 'redirect', location, proxy: head.status === 305 }];
      }
      if ((head.status === 401 || head.status === 407) && (setup || this.#unanswered)) {
        if (setup) this.#keepCookies(head);
        else this.takeBack();
        return [{ type: 'authenticate', status: head.status }];
      }
      this.#state = 'End';
      throw this.refusal(head);
    }
    if (!isMediaServer(head.headers.get('Server'))) {
      this.#state = 'End';
      const server = head.headers.get('Server');
      throw new WmError(
        'WM_PROTOCOL',
        `The server is not a Windows Media server: it calls itself ${server === undefined ? 'nothing at all' : `"${server}"`}.`,
      );
    }
    const asked = this.#pushId;
    this.#keepCookies(head);
    if (head.headers.get('Via') !== undefined) this.#usingProxy = true;
    if (!setup) return this.#answered();
    if (this.#pushId !== asked) this.#begin();
    if (this.#resumed) this.#received = receivedPackets(head.headers);
    this.#packets = this.#received ?? this.#packets;
    return this.#setUp();
  }

  /** Begins another session, because there is no session to resume. */
  #begin(): void {
    this.#resumed = false;
    this.#started = false;
    this.#packets = 0;
  }

  /**
   * Sets the header with which a resumed session continues, before anything else.
   *
   * @param header the Header Object and the first 50 bytes of the Data Object
   * @param packets $D packets of the session that are not sent again
   * @param known true if the last of them was already under this header
   */
  continue(header: Buffer, packetSize: number, bitrate: number, packets: number, known: boolean): ClientAction[] {
    this.#packets = packets;
    this.#header = header;
    this.#packetSize = packetSize;
    this.#bitrate = bitrate;
    this.#headerSent = this.#started;
    if (this.#started && !known) this.#add('streamChange', streamChangePacket(header), S_OK);
    return this.#state === 'PushSetupComplete' ? [{ type: 'pushStart' }] : [];
  }

  /** Returns the error for a refusal, with its status in words. */
  refusal(head: ResponseHead): PushRefusal {
    const { name, knows } = this.#options;
    return pushRefusal(head, { name, isKnown: knows?.(head.status) ?? false, isPushing: this.#headerSent });
  }

  /**
   * Handles a new ASF header (MS-WMHTTP 3.1.4.2, 3.1.4.5): the first starts PushStart, later ones become $C packets.
   *
   * @param header the Header Object and the first 50 bytes of the Data Object
   * @param packetSize the size of the data packets with their padding, in bytes
   * @param bitrate bits per second of all streams together
   * @throws WmError WM_BAD_INPUT if the header is larger than a packet may be
   */
  header(header: Buffer, packetSize: number, bitrate: number): ClientAction[] {
    const actions: ClientAction[] = [];
    const isFirst = this.#header === undefined;
    const packet = isFirst ? headerPacket(header) : streamChangePacket(header);
    this.#packetSize = packetSize;
    this.#bitrate = bitrate;
    if (isFirst) {
      this.#header = header;
      if (this.#state === 'PushSetupComplete') actions.push({ type: 'pushStart' });
      return actions;
    }
    if (!this.#entryEnded) this.#add('endOfStream', endPacket(S_FALSE), S_FALSE);
    this.#entryEnded = false;
    this.#add('streamChange', packet, S_OK);
    this.#flush(actions);
    return actions;
  }

  /**
   * Handles an ASF data packet (MS-WMHTTP 3.1.4.3).
   *
   * @param packet preferably without its padding
   * @throws WmError WM_BAD_INPUT if it is larger than 65535 bytes, WM_FAILED if no header describes it
   */
  packet(packet: Buffer): ClientAction[] {
    if (!this.#header || this.#entryEnded) {
      throw new WmError('WM_FAILED', 'An ASF data packet came without an ASF header before it.');
    }
    const actions: ClientAction[] = [];
    this.#add('data', dataPacket(packet), S_OK);
    this.#flush(actions);
    return actions;
  }

  /**
   * Handles the end of an entry, or of everything (MS-WMHTTP 3.1.4.4).
   *
   * @param reason 1 if another header follows; else 0 or an HRESULT that says why
   */
  end(reason: number): ClientAction[] {
    const actions: ClientAction[] = [];
    if (!this.#header || this.#lastPacketQueued) return actions;
    this.#entryEnded = true;
    this.#lastPacketQueued = reason !== S_FALSE;
    this.#add('endOfStream', endPacket(reason), reason);
    this.#flush(actions);
    return actions;
  }

  #fields(type: 'setup' | 'start', host: string, contentLength: number, credentials: readonly Field[]): Field[] {
    return requestFields({
      type,
      host,
      userAgent: this.#options.userAgent ?? DEFAULT_USER_AGENT,
      pushId: this.#pushId,
      cookies: this.#cookies,
      contentLength,
      acceptAuthentication: this.#options.acceptAuthentication ?? ACCEPTED_SCHEMES,
      credentials,
    });
  }

  #contentLength(firstPacket: number): number {
    const seconds = this.#options.bodyDuration ?? (this.#usingProxy ? PROXY_SECONDS : undefined);
    const bounded = seconds === undefined ? 0 : Math.ceil((this.#bitrate * seconds) / 8);
    const usual = bounded > 0 ? bounded : MAX_CONTENT_LENGTH;
    let least = Math.max(3 * (this.#packetSize + 4), firstPacket + 4);
    // More than 4 bytes beyond, because a packet that leaves exactly 4 does not count as fitting (3.1.4.3).
    for (const { bytes } of this.#queue) least = Math.max(least, bytes.length + 5);
    return Math.min(Math.max(this.#options.contentLength ?? usual, least), MAX_CONTENT_LENGTH);
  }

  #setUp(): ClientAction[] {
    this.#state = 'PushSetupComplete';
    return this.#header ? [{ type: 'ready' }, { type: 'pushStart' }] : [{ type: 'ready' }];
  }

  #answered(): ClientAction[] {
    this.#started = true;
    // Some relays answer at once and read on; the next request may start only where this body ends.
    if (this.#lengthRemaining > 0) {
      this.#answeredEarly = true;
      return [];
    }
    this.#confirmed = this.#packets;
    this.#state = 'PushSetupComplete';
    return [{ type: 'pushStart' }];
  }

  #keepCookies(head: ResponseHead): void {
    for (const cookie of parseSetCookies(head.headers.all('Set-Cookie'))) {
      if (cookie.name === PUSH_ID) {
        if (isPushId(cookie.value) && cookie.value !== '0') this.#pushId = cookie.value;
      } else {
        this.#cookies = [...this.#cookies.filter(({ name }) => name !== cookie.name), cookie].slice(-32);
      }
    }
  }

  #add(kind: Pending['kind'], bytes: Buffer, reason: number): void {
    this.#queue.push({ kind, bytes, reason });
  }

  #flush(actions: ClientAction[]): void {
    if (this.#lengthRemaining === 0) return;
    let taken = 0;
    while (taken < this.#queue.length && this.#state === 'PushStart_InProgress' && this.#lengthRemaining > 0) {
      const pending = this.#queue[taken]!;
      if (!this.#fits(pending)) {
        for (const filler of fillerPackets(this.#lengthRemaining)) this.#send(filler, actions);
        break;
      }
      taken++;
      this.#send(pending.bytes, actions);
      this.#retain(pending);
      if (pending.kind === 'data') this.#packets++;
      if (pending.kind === 'endOfStream' && pending.reason !== S_FALSE) {
        this.#state = 'End';
        actions.push({ type: 'close' });
      }
    }
    this.#queue.splice(0, taken);
    if (this.#state === 'PushStart_InProgress' && this.#lengthRemaining === 0) this.#bodyComplete(actions);
  }

  #fits({ kind, bytes, reason }: Pending): boolean {
    const left = this.#lengthRemaining - bytes.length;
    switch (kind) {
      case 'data':
        return left > 4;
      case 'streamChange':
        return left >= 4;
      case 'endOfStream':
        // After a $E that leaves 1 to 3 bytes, nothing could fill the body; after the last $E nothing has to.
        return left >= 4 || left === 0 || (left > 0 && reason !== S_FALSE);
    }
  }

  /** Keeps the beginning of a body until it is clear that no credentials are required. */
  #retain(pending: Pending): void {
    this.#unanswered?.push(pending);
    this.#unansweredBytes += pending.bytes.length;
    if (this.#unansweredBytes > MAX_UNANSWERED) this.#unanswered = undefined;
  }

  /**
   * Takes back a body that was refused, or whose connection had already been closed, so that it is sent again.
   *
   * @returns false if it is no longer kept, or everything has been sent
   */
  takeBack(): boolean {
    const again = this.#unanswered;
    if (!again || this.#state === 'End') return false;
    this.#queue.unshift(...again);
    for (const { kind } of again) if (kind === 'data') this.#packets--;
    if (!this.#started) this.#headerSent = false;
    this.#bodyLeft = this.#lengthRemaining;
    this.#lengthRemaining = 0;
    this.#unanswered = undefined;
    this.#state = 'PushSetupComplete';
    return true;
  }

  #send(bytes: Buffer, actions: ClientAction[]): void {
    this.#lengthRemaining -= bytes.length;
    this.#bytes += bytes.length;
    actions.push({ type: 'send', bytes });
  }

  #bodyComplete(actions: ClientAction[]): void {
    if (!this.#answeredEarly) {
      actions.push({ type: 'awaitResponse' });
      return;
    }
    this.#state = 'PushSetupComplete';
    actions.push({ type: 'pushStart' });
  }
}
