import type { AccessControl, Rule } from '../../auth/access.js';
import type { Scheme } from '../../auth/dialog.js';
import { callerOf, finishFields } from '../../auth/header-dialog.js';
import { messageOf } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange } from '../../http/exchange.js';
import type { Redirect } from '../../playback/content.js';
import { Refusal } from '../../refusal.js';
import type {
  Publisher,
  PushDecision,
  PushGate,
  PushPoint,
  PushSetupRequest,
  PushStartRequest,
} from '../../wmhttp/server/push-gate.js';
import { isReserved } from '../content/paths.js';
import { refuseWebPages } from '../web/pages.js';
import type { PublishingPoint, PublishingPoints } from './points.js';

/** The points, and who may push to them. */
export interface PushPointsOptions {
  readonly points: PublishingPoints;
  readonly access: AccessControl;
  /** The rule for points without one of their own. */
  readonly rule: Rule;
  /** Points that have moved elsewhere, by path. */
  readonly redirects: ReadonlyMap<string, Redirect>;
  /** The names under which the server may be addressed; see {@link refuseWebPages}. */
  readonly names: ReadonlySet<string>;
  /** Called when a push is refused for a reason that its encoder cannot be told. */
  readonly onWarning?: (message: string) => void;
  /** Asked before somebody who has access publishes. @throws Refusal */
  readonly admit?: (encoder: { path: string; remoteAddress: string; user: string | undefined }) => Promise<void>;
  /** True to ask for credentials with each PushStart request, too. */
  readonly authenticateStart: boolean;
}

// Schemes that authenticate connections cannot be requested in the middle of a push (MS-WMHTTP 3.2.5.2).
const START_SCHEMES: readonly Scheme[] = ['digest', 'basic'];

/** Lets encoders push to publishing points. */
export class PushPoints implements PushGate {
  readonly #options: PushPointsOptions;

  constructor(options: PushPointsOptions) {
    this.#options = options;
  }

  async open({ path, template, autoDestroy, ids, exchange }: PushSetupRequest): Promise<PushDecision> {
    const { points, redirects } = this.#options;
    const redirect = redirects.get(path);
    // A request that came through a proxy is already where the redirect sends others (MS-WMHTTP 3.2.5.1).
    if (redirect && !(redirect.proxy && exchange.request.headers.get('Via') !== undefined)) return redirect;
    if (isReserved(path)) throw new Refusal('not-found', `${path} is reserved for the administration.`);
    const model = points.modelFor(path, template);
    const caller = callerOf(exchange);
    const rule = model?.settings.push ?? this.#options.rule;
    const access = await this.#options.access.check(caller, rule, `push to ${path}`);
    if (!access.granted) throw access.refusal;
    this.#refuseWebPages(exchange, access, path);
    const { user, finish } = access;
    const remoteAddress = plainAddress(exchange.remoteAddress);
    // PushStart is refused as well, but its answer comes while the encoder sends already and believes to be on air.
    points.named(path)?.refuseUnfit({ remoteAddress, user, formerSessions: ids });
    await this.#options.admit?.({ path, remoteAddress, user });
    const isNew = points.named(path) === undefined;
    const point = points.forPush(path, template, caller.local);
    const destroyed = autoDestroy || (isNew && point.settings.autoDestroy === true);
    return { accept: this.#pushPoint(point, destroyed), user, fields: finishFields(finish, exchange.request) };
  }

  /** An encoder reports only that it got 403, so the operator is told the reason. */
  #refuseWebPages(exchange: Exchange, access: { readonly trusted: boolean }, path: string): void {
    try {
      refuseWebPages(exchange, access, this.#options.names);
    } catch (error) {
      const address = plainAddress(exchange.remoteAddress);
      this.#options.onWarning?.(`A push to ${path} from ${address} was refused. ${messageOf(error)}`);
      throw error;
    }
  }

  start(request: PushStartRequest): undefined | Promise<void> {
    return request.moved || this.#options.authenticateStart ? this.#askAgain(request) : undefined;
  }

  async #askAgain({ path, exchange }: PushStartRequest): Promise<void> {
    const rule = this.#options.points.named(path)?.settings.push ?? this.#options.rule;
    const caller = callerOf(exchange, { schemes: START_SCHEMES });
    const access = await this.#options.access.check(caller, rule, `push to ${path}`);
    if (!access.granted) throw access.refusal;
  }

  #pushPoint(point: PublishingPoint, destroyed: boolean): PushPoint {
    const { points } = this.#options;
    let publisher: Publisher | undefined;
    return {
      start: async (candidate) => {
        const sink = await points.publish(point, candidate);
        publisher = candidate;
        const remoteAddress = plainAddress(candidate.remoteAddress);
        points.notify({ point: point.path, what: 'publishing', remoteAddress });
        return sink;
      },
      release: ({ clean, destroy }) => {
        const wasPublishing = publisher !== undefined && point.unpublish(publisher);
        if (wasPublishing) points.notify({ point: point.path, what: 'unpublished', clean });
        const neverFed = point.broadcast.generation === 0;
        if ((destroy || destroyed || neverFed) && !point.publisher) points.remove(point);
      },
    };
  }
}
