import { plainAddress } from '../http/addresses.js';
import type { Redirect } from '../playback/content.js';
import type {
  Publisher,
  PushDecision,
  PushGate,
  PushPoint,
  PushRefusal,
  PushSetupRequest,
  PushStartRequest,
} from '../wmhttp/push-gate.js';
import { type AccessControl, isLocal, type Rule } from './access.js';
import { isReserved } from './paths.js';
import type { PublishingPoint, PublishingPoints } from './points.js';

export interface PushPointsOptions {
  readonly points: PublishingPoints;
  readonly access: AccessControl;
  /** For points that have no rule of their own. */
  readonly rule: Rule;
  /** What is somewhere else, by path. */
  readonly redirects: ReadonlyMap<string, Redirect>;
  /** Ask for credentials with each PushStart request, too. */
  readonly authenticateStart: boolean;
}

/** Lets encoders push to publishing points. */
export class PushPoints implements PushGate {
  readonly #options: PushPointsOptions;

  constructor(options: PushPointsOptions) {
    this.#options = options;
  }

  async open({ path, template, autoDestroy, exchange }: PushSetupRequest): Promise<PushDecision> {
    const { points, redirects } = this.#options;
    const redirect = redirects.get(path);
    // Who comes through a proxy already is where the redirect sends others (MS-WMHTTP 3.2.5.1).
    if (redirect && !(redirect.proxy && exchange.request.headers.get('Via') !== undefined)) return redirect;
    if (isReserved(path)) return { refuse: 404 };
    const model = points.modelFor(path, template);
    const access = await this.#options.access.check(exchange, model?.settings.push ?? this.#options.rule, 'push');
    if (!access.granted) return { refuse: access.status, fields: access.fields };
    const { user, fields } = access;
    const isNew = points.get(path) === undefined;
    const point = points.forPush(path, template, isLocal(exchange));
    const destroyed = autoDestroy || (isNew && point.settings.autoDestroy === true);
    return { accept: this.#pushPoint(point, destroyed), user, fields };
  }

  start(request: PushStartRequest): undefined | Promise<PushRefusal | undefined> {
    return request.moved || this.#options.authenticateStart ? this.#askAgain(request) : undefined;
  }

  async #askAgain({ path, exchange }: PushStartRequest): Promise<PushRefusal | undefined> {
    const rule = this.#options.points.get(path)?.settings.push ?? this.#options.rule;
    const access = await this.#options.access.check(exchange, rule, 'pushStart');
    return access.granted ? undefined : { refuse: access.status, fields: access.fields };
  }

  #pushPoint(point: PublishingPoint, destroyed: boolean): PushPoint {
    const { points } = this.#options;
    let publisher: Publisher | undefined;
    return {
      start: (candidate) => {
        points.keep(point);
        const sink = point.publish(candidate);
        publisher = candidate;
        const remoteAddress = plainAddress(candidate.remoteAddress);
        points.tell({ point: point.path, what: 'publishing', remoteAddress });
        return sink;
      },
      release: ({ clean, destroy }) => {
        const wasPublishing = publisher !== undefined && point.unpublish(publisher);
        if (wasPublishing) points.tell({ point: point.path, what: 'unpublished', clean });
        const neverFed = point.broadcast.generation === 0;
        if ((destroy || destroyed || neverFed) && !point.publisher) points.remove(point);
      },
    };
  }
}
