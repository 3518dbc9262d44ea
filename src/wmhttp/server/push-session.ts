import { printable } from '../../errors.js';
import { FrameReader, FramingError } from '../../framing/framing.js';
import type { BodySink, Exchange } from '../../http/exchange.js';
import { REFUSAL_STATUS, refusalStatus } from '../../http/refusals.js';
import type { AsfEvent, AsfSink } from '../../media/events.js';
import type { Publisher, PushPoint } from './push-gate.js';
import { type ServerAction, ServerSession, type ServerSessionOptions } from './session.js';

/** The services that a session needs from its server. */
export interface PushSessionHost {
  now(): number;
  /** Sends a response, unless one was sent already. */
  respond(exchange: Exchange, status: number, pushId: string, close: boolean): void;
  /** Called at the end of a session. */
  deleted(session: PushSession): void;
  /** Reports an error of a publishing point or its sink that is not a refusal. */
  failed(error: unknown): void;
}

// In ms without a byte, after which a connection may be dead; no live stream is silent for so long.
const DOUBTFUL_SILENCE = 2_000;

/** The identity of a session and its encoder. */
export interface PushSessionIdentity {
  readonly id: string;
  readonly path: string;
  /** The address of its last PushSetup request. */
  readonly address: string;
  readonly user: string | undefined;
  /** The push-ids that its first PushSetup request named. */
  readonly formerSessions: readonly string[];
}

/** Connects the state machine of one session to its requests and its publishing point. */
export class PushSession {
  readonly id: string;
  readonly path: string;
  readonly user: string | undefined;
  /** The address of its last PushSetup request. */
  address: string;
  autoDestroy = false;
  readonly #formerSessions: readonly string[];
  readonly #host: PushSessionHost;
  readonly #point: PushPoint;
  readonly #machine: ServerSession;
  #sink: AsfSink | undefined;
  /** Settles once the point is ready and has received all earlier events. */
  #starting: Promise<void> | undefined;
  // The last request of the session; while its body is being received, the one to answer.
  #exchange: Exchange | undefined;
  #body: PushBody | undefined;
  #deleted = false;
  #lost = false;
  // When bytes of a body last arrived.
  #readAt = 0;

  constructor(host: PushSessionHost, identity: PushSessionIdentity, point: PushPoint, options: ServerSessionOptions) {
    this.#host = host;
    this.id = identity.id;
    this.path = identity.path;
    this.user = identity.user;
    this.address = identity.address;
    this.#formerSessions = identity.formerSessions;
    this.#point = point;
    this.#machine = new ServerSession(host.now(), options);
  }

  /** True while a PushStart request is being received. */
  get streaming(): boolean {
    return this.#machine.state === 'Streaming';
  }

  /** True if a PushStart request was ever received. */
  get started(): boolean {
    return this.#machine.started;
  }

  /** The number of received $D packets, including unreadable ones. */
  get received(): number {
    return this.#machine.packets + this.#machine.damagedPackets;
  }

  /**
   * Handles a request on another connection that names this session while its own is open. If its own has been silent,
   * it may well be dead and the encoder back. The silent request is then refused with 408, so that the next attempt can
   * resume the session.
   */
  doubt(): void {
    const exchange = this.#exchange;
    const isSilent = this.#host.now() - this.#readAt >= DOUBTFUL_SILENCE;
    if (!this.streaming || !exchange || !isSilent || this.#body?.waiting) return;
    this.#body?.abandon();
    this.bodyLost();
    this.#host.respond(exchange, 408, this.id, true);
  }

  /** Handles a PushSetup request that created or names this session. @returns 204, or the status to refuse it with */
  pushSetup(exchange: Exchange): number {
    const status = this.#machine.pushSetup(this.#host.now());
    if (status === 204) this.#exchange = exchange;
    return status;
  }

  /** Records that a request of the session was answered with a challenge, which gives it time for another attempt. */
  challenged(request: 'setup' | 'start'): void {
    this.#machine.challenged(request, this.#host.now());
  }

  /** Handles a PushStart request. @returns undefined if its body is being received, or the status to refuse it with */
  pushStart(exchange: Exchange): number | undefined {
    const refused = this.#machine.pushStart(this.#host.now());
    if (refused !== undefined) return refused;
    this.#lost = false;
    this.#exchange = exchange;
    this.#body = new PushBody(this, exchange);
    // The session's own timers watch the body; a push may last for days.
    exchange.receive(this.#body, Number.POSITIVE_INFINITY);
    return undefined;
  }

  /** Fires the timers. */
  tick(now: number): void {
    if (this.#body?.waiting) this.#machine.resumed(now);
    this.#perform(this.#machine.tick(now));
  }

  /** Ends the session from this side. */
  disconnect(status: number): void {
    this.#perform(this.#machine.fail(status));
  }

  /**
   * Reads the packets in `reader`, for the body.
   *
   * @returns a promise if the sink wants to wait before the next packet
   */
  read(reader: FrameReader): Promise<unknown> | undefined {
    this.#readAt = this.#host.now();
    try {
      for (let frame = reader.next(); frame && !this.#deleted; frame = reader.next()) {
        const backlog = this.#perform(this.#machine.receive(frame, this.#host.now()));
        if (backlog) return backlog;
      }
    } catch (error) {
      if (error instanceof FramingError) this.disconnect(400);
      else this.#failed(error);
    }
    return undefined;
  }

  /** Called by the body when the sink continues after a pause. */
  resumed(): void {
    this.#machine.resumed(this.#host.now());
  }

  /** Called by the body when it is complete. */
  bodyComplete(midPacket: boolean): void {
    this.#body = undefined;
    this.#perform(this.#machine.bodyComplete(midPacket, this.#host.now()));
  }

  /** Called by the body when the connection is lost before it is complete. */
  bodyLost(): void {
    this.#body = undefined;
    this.#lost = true;
    this.#machine.connectionLost();
  }

  /** Called by the body when the sink fails. */
  sinkFailed(error: unknown): void {
    this.#failed(error);
  }

  #perform(actions: readonly ServerAction[]): Promise<unknown> | undefined {
    let backlog: Promise<unknown> | undefined;
    for (const action of actions) {
      // The effect of an earlier action, such as a refusal by the point, may have ended the session.
      if (this.#deleted) break;
      switch (action.type) {
        case 'event': {
          const written = this.#write(action.event);
          if (written) backlog = backlog ? Promise.all([backlog, written]) : written;
          break;
        }
        case 'respond':
          if (this.#exchange) this.#host.respond(this.#exchange, action.status, this.id, action.close);
          break;
        case 'closeConnection':
          this.#exchange?.closeConnection();
          break;
        case 'delete':
          this.#delete(action.clean);
          break;
      }
    }
    return backlog;
  }

  #write(event: AsfEvent): Promise<unknown> | undefined {
    try {
      if (!this.#sink && !this.#starting) {
        const started = this.#point.start(this.#publisher());
        if (!(started instanceof Promise)) this.#sink = started;
        else {
          this.#starting = started.then((sink) => {
            this.#sink = sink;
          });
        }
      }
      return this.#starting ? this.#queue(event, this.#starting) : (this.#sink?.write(event) ?? undefined);
    } catch (error) {
      this.#failed(error);
      return undefined;
    }
  }

  /** Queues an event that arrives before the point is ready. */
  #queue(event: AsfEvent, before: Promise<void>): Promise<void> {
    const queued = before
      .then(() => this.#sink?.write(event))
      .catch((error: unknown) => this.#failed(error))
      .then(() => {
        if (this.#starting === queued) this.#starting = undefined;
      });
    this.#starting = queued;
    return queued;
  }

  #publisher(): Publisher {
    const isLost = () => this.#lost;
    return {
      protocol: 'WMHTTP',
      client: printable(this.#exchange?.request.headers.get('User-Agent') ?? ''),
      remoteAddress: this.#exchange?.remoteAddress ?? '',
      user: this.user,
      session: this.id,
      formerSessions: this.#formerSessions,
      get lost() {
        return isLost();
      },
      disconnect: (reason) => this.disconnect(REFUSAL_STATUS[reason]),
    };
  }

  #failed(error: unknown): void {
    const status = refusalStatus(error);
    if (status === undefined) this.#host.failed(error);
    this.disconnect(status ?? 500);
  }

  #delete(clean: boolean): void {
    this.#deleted = true;
    this.#body = undefined;
    this.#host.deleted(this);
    const release = () => {
      try {
        this.#point.release({ clean, destroy: this.autoDestroy });
      } catch (error) {
        this.#host.failed(error);
      }
    };
    if (!this.#sink && !this.#starting) {
      release();
      return;
    }
    Promise.resolve(this.#starting)
      .then(() => this.#sink?.close())
      .catch((error: unknown) => this.#host.failed(error))
      .finally(release);
  }
}

/** Receives the body of one PushStart request, as fast as the sink can take it. */
class PushBody implements BodySink {
  readonly #session: PushSession;
  readonly #exchange: Exchange;
  readonly #reader = new FrameReader();
  #ending: 'complete' | 'lost' | undefined;
  #abandoned = false;
  /** True while the sink wants to wait. */
  waiting = false;

  constructor(session: PushSession, exchange: Exchange) {
    this.#session = session;
    this.#exchange = exchange;
  }

  /** Ignores the rest of the body. */
  abandon(): void {
    this.#abandoned = true;
  }

  data(chunk: Buffer): void {
    this.#reader.push(chunk);
    this.#pump();
  }

  end(): void {
    this.#ending = 'complete';
    this.#pump();
  }

  aborted(): void {
    this.#ending = 'lost';
    this.#pump();
  }

  #pump(): void {
    if (this.waiting || this.#abandoned) return;
    const backlog = this.#session.read(this.#reader);
    if (backlog) this.#pause(backlog);
    else if (this.#ending === 'complete') this.#session.bodyComplete(this.#reader.midPacket);
    else if (this.#ending === 'lost') this.#session.bodyLost();
  }

  #pause(backlog: Promise<unknown>): void {
    this.waiting = true;
    this.#exchange.pauseBody();
    backlog
      .catch((error: unknown) => this.#session.sinkFailed(error))
      .finally(() => {
        this.waiting = false;
        this.#session.resumed();
        this.#exchange.resumeBody();
        this.#pump();
      });
  }
}
