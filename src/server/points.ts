import { HttpError } from '../http/message.js';
import { Broadcast, type BroadcastOptions } from '../media/broadcast.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import type { Publisher } from '../wmhttp/push-gate.js';

/** Who may push to points that do not exist yet. */
export type NewPointPolicy = 'loopback' | 'template' | 'none';

export interface PointsOptions {
  /**
   * `loopback`: from this host anybody may push to a new name; `template`: a new name needs a Template-URL that names an existing
   * point (MS-WMHTTP 2.2.2.1.1); `none`: only configured points take pushes.
   */
  readonly newPoints: NewPointPolicy;
  readonly broadcast?: BroadcastOptions;
  readonly maxPoints?: number;
  /** Something that an operator wants to know about a point. */
  readonly onEvent?: (event: PointEvent) => void;
}

export interface PointEvent {
  readonly point: string;
  readonly what: 'created' | 'publishing' | 'unpublished' | 'removed';
  readonly remoteAddress?: string;
  /** For `unpublished`: the encoder said $E, or was lost. */
  readonly clean?: boolean;
}

// What fits the packets of every protocol (MS-WMSP 2.2.3.1.2); WMHTTP alone could carry a few bytes more.
const MAX_PACKET_SIZE = 65_527;

// A publisher that was silent for this long may be displaced: after a network loss the encoder comes back while the old
// connection still looks alive.
const TAKEOVER_SILENCE = 5_000;

/** A broadcast publishing point: a name, a live hub, and at most one publisher. */
export class PublishingPoint {
  /** The path, with its leading slash. */
  readonly path: string;
  /** Stands in the configuration, so no push session removes it. */
  readonly configured: boolean;
  readonly broadcast: Broadcast;
  #publisher: Publisher | undefined;
  #fedAt = 0;

  constructor(path: string, configured: boolean, broadcast: Broadcast) {
    this.path = path;
    this.configured = configured;
    this.broadcast = broadcast;
  }

  get publisher(): Publisher | undefined {
    return this.#publisher;
  }

  /**
   * Lets a publisher feed the point.
   *
   * @throws HttpError 409 while another one does
   */
  publish(publisher: Publisher): AsfSink {
    const previous = this.#publisher;
    // One whose connection broke would have to come back as a new session anyway, if its program was started again.
    if (previous && !previous.lost && Date.now() - this.#fedAt < TAKEOVER_SILENCE)
      throw new HttpError(409, `${this.path} has a publisher already.`);
    this.#publisher = publisher;
    this.#fedAt = Date.now();
    previous?.disconnect(409);
    return {
      write: (event: AsfEvent) => {
        if (this.#publisher !== publisher) return;
        this.#fedAt = Date.now();
        if (event.type === 'header' && event.header.packetSize > MAX_PACKET_SIZE) {
          throw new HttpError(400, `Packets of ${event.header.packetSize} bytes are too large to be served.`);
        }
        this.broadcast.write(event);
      },
      close: async () => {},
    };
  }

  /** The publisher is gone; players are told unless another one has taken over. */
  unpublish(publisher: Publisher): boolean {
    if (this.#publisher !== publisher) return false;
    this.#publisher = undefined;
    void this.broadcast.close();
    return true;
  }
}

/** The publishing points of a server, by path. */
export class PublishingPoints {
  readonly #options: PointsOptions;
  readonly #points = new Map<string, PublishingPoint>();

  constructor(options: PointsOptions) {
    this.#options = options;
  }

  *[Symbol.iterator](): Iterator<PublishingPoint> {
    yield* this.#points.values();
  }

  get(path: string): PublishingPoint | undefined {
    return this.#points.get(path);
  }

  /** Adds a point that stays. */
  configure(path: string): PublishingPoint {
    return this.#create(path, true);
  }

  /**
   * The point for a push, made if that is allowed.
   *
   * @throws HttpError 403 when the address may not push there, 404 when the point does not exist and is not to be made
   */
  forPush(path: string, template: string | undefined, local: boolean): PublishingPoint {
    // Until there are credentials to ask for, only this host may publish.
    if (!local) throw new HttpError(403, 'Pushes are taken from this host only.');
    const existing = this.#points.get(path);
    if (existing) return existing;
    if (path === '/') throw new HttpError(404, 'The URL names no publishing point.');
    const fromTemplate = template !== undefined && this.#points.has(template);
    if (!fromTemplate && this.#options.newPoints !== 'loopback') throw new HttpError(404, `There is no point ${path}.`);
    if (!this.#makeRoom()) throw new HttpError(503, 'There are too many points.');
    return this.#create(path, false);
  }

  /**
   * A push begins: the point is there from now on, even if a session that never began has taken it away meanwhile.
   *
   * @throws HttpError 409 when another point has taken its place
   */
  keep(point: PublishingPoint): void {
    const present = this.#points.get(point.path);
    if (present && present !== point) throw new HttpError(409, `${point.path} has a publisher already.`);
    this.#points.set(point.path, point);
  }

  /** Makes room for another point: those go that pushes made, that nobody feeds and nobody plays, the oldest first. */
  #makeRoom(): boolean {
    const limit = this.#options.maxPoints ?? 1_000;
    for (const point of this.#points.values()) {
      if (this.#points.size < limit) break;
      if (!point.publisher && point.broadcast.players === 0) this.remove(point);
    }
    return this.#points.size < limit;
  }

  /** Removes a point that a push session made. */
  remove(point: PublishingPoint): void {
    if (point.configured || this.#points.get(point.path) !== point) return;
    this.#points.delete(point.path);
    this.tell({ point: point.path, what: 'removed' });
  }

  tell(event: PointEvent): void {
    this.#options.onEvent?.(event);
  }

  #create(path: string, configured: boolean): PublishingPoint {
    const point = new PublishingPoint(path, configured, new Broadcast(this.#options.broadcast));
    this.#points.set(path, point);
    this.tell({ point: path, what: 'created' });
    return point;
  }
}
