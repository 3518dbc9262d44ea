import { printable } from '../errors.js';
import { FrameReader, FramingError } from '../framing/framing.js';
import type { BodySink, Exchange } from '../http/exchange.js';
import { REFUSAL_STATUS, refusalStatus } from '../http/refusals.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import type { Publisher, PushPoint } from './push-gate.js';
import { type ServerAction, ServerSession, type ServerSessionOptions } from './server-session.js';

/** What a session needs of the server. */
export interface PushSessionHost {
  now(): number;
  /** Sends a response; nothing when one was sent already. */
  respond(exchange: Exchange, status: number, pushId: string, close: boolean): void;
  /** The session is gone. */
  deleted(session: PushSession): void;
  /** A publishing point or its sink threw something that is no refusal. */
  failed(error: unknown): void;
}

// Ms without a byte after which a connection may be dead: less than that no live stream is silent.
const DOUBTFUL_SILENCE = 2_000;

/** Whose session it is. */
export interface PushSessionIdentity {
  readonly id: string;
  readonly path: string;
  /** Where its last PushSetup request came from. */
  readonly address: string;
  readonly user: string | undefined;
  /** The push-ids that its first PushSetup request named. */
  readonly formerSessions: readonly string[];
}

/** Wires the state machine of one session to its requests and its publishing point. */
export class PushSession {
  readonly id: string;
  readonly path: string;
  readonly user: string | undefined;
  /** Where its last PushSetup request came from. */
  address: string;
  autoDestroy = false;
  readonly #formerSessions: readonly string[];
  readonly #host: PushSessionHost;
  readonly #point: PushPoint;
  readonly #machine: ServerSession;
  #sink: AsfSink | undefined;
  /** Settles once the point is ready and has what came before. */
  #starting: Promise<void> | undefined;
  // The last request of the session: while its body comes in, the one to answer.
  #exchange: Exchange | undefined;
  #body: PushBody | undefined;
  #deleted = false;
  #lost = false;
  // When bytes of a body came last.
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

  /** Whether a PushStart request is being received. */
  get streaming(): boolean {
    return this.#machine.state === 'Streaming';
  }

  /** Whether a PushStart request was ever received. */
  get started(): boolean {
    return this.#machine.started;
  }

  /** $D packets that came in, unreadable ones included. */
  get received(): number {
    return this.#machine.packets + this.#machine.damagedPackets;
  }

  /**
   * The session was named by a request on another connection while its own is open. When that has been silent it may well be dead
   * and its encoder back: it is refused, so that the next try can resume the session.
   */
  doubt(): void {
    const exchange = this.#exchange;
    const isSilent = this.#host.now() - this.#readAt >= DOUBTFUL_SILENCE;
    if (!this.streaming || !exchange || !isSilent || this.#body?.waiting) return;
    this.#body?.abandon();
    this.bodyLost();
    this.#host.respond(exchange, 408, this.id, true);
  }

  /** A PushSetup request that made this session, or names it. @returns 204, or the status to refuse it with */
  pushSetup(exchange: Exchange): number {
    const status = this.#machine.pushSetup(this.#host.now());
    if (status === 204) this.#exchange = exchange;
    return status;
  }

  /** A request of the session was answered with a challenge: there is time for another try. */
  challenged(request: 'setup' | 'start'): void {
    this.#machine.challenged(request, this.#host.now());
  }

  /** A PushStart request. @returns undefined when its body is being received, or the status to refuse it with */
  pushStart(exchange: Exchange): number | undefined {
    const refused = this.#machine.pushStart(this.#host.now());
    if (refused !== undefined) return refused;
    this.#lost = false;
    this.#exchange = exchange;
    this.#body = new PushBody(this, exchange);
    // The session's own timers watch over the body; a push may last for days.
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
   * For the body: the packets that `reader` holds.
   *
   * @returns a promise when the sink wants to wait before the next packet
   */
  read(reader: FrameReader): Promise<unknown> | undefined {
    this.#readAt = this.#host.now();
    try {
      for (let frame = reader.next(); frame && !this.#deleted; frame = reader.next()) {
        const behind = this.#perform(this.#machine.receive(frame, this.#host.now()));
        if (behind) return behind;
      }
    } catch (error) {
      if (error instanceof FramingError) this.disconnect(400);
      else this.#failed(error);
    }
    return undefined;
  }

  /** For the body: the sink goes on after a pause. */
  resumed(): void {
    this.#machine.resumed(this.#host.now());
  }

  /** For the body: it is complete. */
  bodyComplete(midPacket: boolean): void {
    this.#body = undefined;
    this.#perform(this.#machine.bodyComplete(midPacket, this.#host.now()));
  }

  /** For the body: the connection was lost before it was complete. */
  bodyLost(): void {
    this.#body = undefined;
    this.#lost = true;
    this.#machine.connectionLost();
  }

  /** For the body: the sink broke off. */
  sinkFailed(error: unknown): void {
    this.#failed(error);
  }

  #perform(actions: readonly ServerAction[]): Promise<unknown> | undefined {
    let behind: Promise<unknown> | undefined;
    for (const action of actions) {
      // What an earlier action led to, such as a refusal by the point, may have ended the session.
      if (this.#deleted) break;
      switch (action.type) {
        case 'event': {
          const written = this.#write(action.event);
          if (written) behind = behind ? Promise.all([behind, written]) : written;
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
    return behind;
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

  /** What comes before the point is ready waits for its turn. */
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

/** Takes the body of one PushStart request, as fast as the sink bears it. */
class PushBody implements BodySink {
  readonly #session: PushSession;
  readonly #exchange: Exchange;
  readonly #reader = new FrameReader();
  #ending: 'complete' | 'lost' | undefined;
  #abandoned = false;
  /** The sink wants to wait. */
  waiting = false;

  constructor(session: PushSession, exchange: Exchange) {
    this.#session = session;
    this.#exchange = exchange;
  }

  /** What still comes is of no interest. */
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
    const behind = this.#session.read(this.#reader);
    if (behind) this.#pause(behind);
    else if (this.#ending === 'complete') this.#session.bodyComplete(this.#reader.midPacket);
    else if (this.#ending === 'lost') this.#session.bodyLost();
  }

  #pause(behind: Promise<unknown>): void {
    this.waiting = true;
    this.#exchange.pauseBody();
    behind
      .catch((error: unknown) => this.#session.sinkFailed(error))
      .finally(() => {
        this.waiting = false;
        this.#session.resumed();
        this.#exchange.resumeBody();
        this.#pump();
      });
  }
}
