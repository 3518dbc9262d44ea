import { randomInt } from 'node:crypto';
import { headerRefusal } from '../../auth/header-dialog.js';
import { WmError } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { ASF_TYPE } from '../../media/names.js';
import { SessionIds } from '../../playback/session-ids.js';
import {
  isEncoder,
  MAX_SETUP_BODY,
  namedPath,
  parseSetupBody,
  pushIds,
  pushRequestType,
  RECEIVED_FIELD,
  responseFields,
  targetPath,
} from '../messages/messages.js';
import type { PushDecision, PushGate } from './push-gate.js';
import { PushSession, type PushSessionHost } from './push-session.js';
import { IDLE_TIMEOUT, INACTIVITY_TIMEOUT } from './session.js';

export type * from './push-gate.js';

/** The limits of a server that takes pushes. */
export interface PushServerOptions {
  /** The maximum time without $H, $D or $C in a body, in ms: 10000 to 4294967295; default: 60000 (MS-WMHTTP 3.2.2). */
  readonly idleTimeout?: number;
  /** The maximum time between requests, in ms; default: 120000 (MS-WMHTTP 3.2.2). */
  readonly inactivityTimeout?: number;
  /** The maximum number of sessions at a time; more are refused with 503. */
  readonly maxSessions?: number;
  /**
   * The maximum number of sessions without a PushStart. Beyond it the oldest is ended, preferably one of the same
   * address.
   */
  readonly maxIdleSessions?: number;
  /** Makes the first nine digits of push-ids, which tell where their sessions live; default: they tell nothing. */
  readonly ids?: SessionIds;
  /** Returns ms since 1970. */
  readonly now?: () => number;
  /** Decodes and checks the path of a request-target; throws a Refusal. */
  readonly pathOf?: (target: string) => string;
  /** The Server header, which has to start with `Cougar/` for encoders to go on. */
  readonly serverName?: string;
  /** Called with an error of a gate, a point or a sink that is not a refusal; the encoder got a 500. */
  readonly onError?: (error: unknown) => void;
}

const SWEEP_INTERVAL = 1_000;
const MAX_SESSIONS = 1_000;
const MAX_IDLE_SESSIONS = 1_000;
const MIN_IDLE_TIMEOUT = 10_000;
const MAX_IDLE_TIMEOUT = 4_294_967_295;

/** The server's side of WMHTTP: takes the push requests that an HTTP server passes to it (MS-WMHTTP 3.2). */
export class PushServer {
  readonly #gate: PushGate;
  readonly #options: PushServerOptions;
  readonly #idleTimeout: number;
  readonly #inactivityTimeout: number;
  readonly #now: () => number;
  readonly #ids: SessionIds;
  readonly #sessions = new Map<string, PushSession>();
  // Sessions without a PushStart, oldest first.
  readonly #unstarted = new Set<PushSession>();
  readonly #sweeper: NodeJS.Timeout;
  readonly #host: PushSessionHost;
  #closed = false;

  /** @throws WmError WM_CONFIG for a time-out that the specification does not allow */
  constructor(gate: PushGate, options: PushServerOptions = {}) {
    this.#gate = gate;
    this.#options = options;
    this.#idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT;
    this.#inactivityTimeout = options.inactivityTimeout ?? INACTIVITY_TIMEOUT;
    if (!(this.#idleTimeout >= MIN_IDLE_TIMEOUT && this.#idleTimeout <= MAX_IDLE_TIMEOUT)) {
      throw new WmError(
        'WM_CONFIG',
        `An idle time-out of ${this.#idleTimeout} ms is not between 10 s and 4294967295 ms.`,
      );
    }
    if (!(this.#inactivityTimeout >= 0)) throw new WmError('WM_CONFIG', 'The inactivity time-out is negative.');
    this.#now = options.now ?? Date.now;
    this.#ids = options.ids ?? new SessionIds();
    this.#host = {
      now: this.#now,
      // Kept open also after HTTP/1.0, where encoders go on without asking for it (MS-WMHTTP 3.2.5.2.1).
      respond: (exchange, status, pushId, close) =>
        exchange.respond({ status, fields: this.#fields(pushId), close, keep: !close }),
      deleted: (session) => this.#forget(session),
      failed: (error) => options.onError?.(error),
    };
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** The number of sessions, including interrupted ones. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /**
   * Takes a request if its Content-Type says PushSetup or PushStart.
   *
   * @returns true if it was taken and will be answered
   */
  handle(exchange: Exchange): boolean {
    const type = pushRequestType(exchange.request.headers);
    if (!type) return false;
    if (type === 'setup') {
      this.#setUp(exchange).catch((error: unknown) => this.#refuse(exchange, error));
      return true;
    }
    this.#askToStart(exchange);
    return true;
  }

  /** Fires the timers that are due; called once a second by itself. */
  sweep(): void {
    const now = this.#now();
    for (const session of [...this.#sessions.values()]) session.tick(now);
  }

  /** Ends all sessions with status 503 and accepts no more. */
  close(): void {
    this.#closed = true;
    clearInterval(this.#sweeper);
    for (const session of [...this.#sessions.values()]) session.disconnect(503);
  }

  #fields(pushId?: string): Field[] {
    return responseFields({
      serverName: this.#options.serverName,
      now: this.#now(),
      timeout: this.#idleTimeout,
      pushId,
    });
  }

  /** @param challenged called if the response is a challenge, to allow time for another attempt */
  #refuse(exchange: Exchange, error: unknown, challenged?: () => void): void {
    const refusal = headerRefusal(error, exchange.request);
    if (!refusal) this.#options.onError?.(error);
    const { status = 500, fields = [], challenge = false } = refusal ?? {};
    if (challenge) challenged?.();
    // Encoders hang if the connection stays open after any other error.
    exchange.respond({ status, fields: [...this.#fields(), ...fields], close: !challenge, keep: challenge });
  }

  #checkSyntax(exchange: Exchange): string {
    const { method, headers, target, minorVersion } = exchange.request;
    if (method !== 'POST') throw new HttpError(400, 'A push request must be a POST.');
    if (minorVersion === 1 && headers.get('Host') === undefined)
      throw new HttpError(400, 'A push request needs a Host header.');
    if (headers.get('Content-Length') === undefined) throw new HttpError(411, 'A push request needs a Content-Length.');
    return (this.#options.pathOf ?? targetPath)(target);
  }

  async #setUp(exchange: Exchange): Promise<void> {
    const path = this.#checkSyntax(exchange);
    const { headers } = exchange.request;
    const body = await exchange.readBody(MAX_SETUP_BODY);
    if (!isEncoder(headers.get('User-Agent'))) {
      // The answer of a Windows server to anything other than an encoder: how to play this (MS-WMHTTP 3.2.5.1).
      const fields: Field[] = [...this.#fields(), ['Content-Type', ASF_TYPE]];
      exchange.respond({ status: 200, fields, body: playThis(exchange, path) });
      return;
    }
    const { template, autoDestroy } = parseSetupBody(body);
    const templatePath = template === undefined ? undefined : namedPath(template);
    if (template !== undefined && templatePath === undefined) throw new HttpError(400, 'The template is malformed.');
    const ids = pushIds(headers);
    const existing = this.#sessionToSetUp(ids, path);
    if (existing?.streaming) {
      existing.doubt();
      throw new HttpError(409, 'The session is streaming.');
    }
    const asked = { path, template: templatePath, autoDestroy: autoDestroy ?? false, ids, exchange };
    try {
      const decision = await this.#gate.open(asked);
      this.#decide(exchange, decision, { path, autoDestroy, existing, ids });
    } catch (error) {
      this.#refuse(exchange, error, () => existing?.challenged('setup'));
    }
  }

  /**
   * Finds the session that a PushSetup request names; undefined for a new one.
   *
   * @throws HttpError 404 if it names a session that does not exist
   */
  #sessionToSetUp(ids: readonly string[], path: string): PushSession | undefined {
    const known = ids.map((id) => this.#sessions.get(id)).filter((session) => session?.path === path);
    // If there are two cookies, the older may be left over from a session that was lost; "0" then asks for a new one.
    const idle = known.find((session) => session && !session.streaming);
    if (idle || ids.length === 0 || ids.includes('0')) return idle;
    if (known[0]) return known[0];
    throw new HttpError(404, 'There is no such session.');
  }

  #decide(
    exchange: Exchange,
    decision: PushDecision,
    setup: {
      path: string;
      autoDestroy: boolean | undefined;
      existing: PushSession | undefined;
      ids: readonly string[];
    },
  ): void {
    const { path, autoDestroy, existing, ids } = setup;
    if ('redirect' in decision) {
      const fields: Field[] = [...this.#fields(), ['Location', decision.redirect]];
      existing?.disconnect(503);
      exchange.respond({ status: decision.proxy ? 305 : 302, fields, close: true });
      return;
    }
    const { accept: point, user, fields = [] } = decision;
    const address = plainAddress(exchange.remoteAddress);
    let session = existing;
    if (session) {
      // The session keeps its point; this one was opened only to ask for permission.
      point.release({ clean: true, destroy: false });
      if (session.user !== user) throw new HttpError(403, 'The session belongs to another user.');
      session.address = address;
    } else {
      if (this.#closed || !this.#makeRoom(address)) {
        point.release({ clean: false, destroy: autoDestroy ?? false });
        throw new HttpError(503, 'There are too many sessions.');
      }
      const formerSessions = ids.filter((id) => this.#sessions.get(id)?.path === path);
      const identity = { id: this.#newId(), path, address, user, formerSessions };
      session = new PushSession(this.#host, identity, point, {
        idleTimeout: this.#idleTimeout,
        inactivityTimeout: this.#inactivityTimeout,
      });
      this.#sessions.set(session.id, session);
      this.#unstarted.add(session);
    }
    if (autoDestroy !== undefined) session.autoDestroy = autoDestroy;
    const status = session.pushSetup(exchange);
    if (status !== 204) throw new HttpError(status, 'The session is streaming.');
    const received: Field[] = session.started ? [[RECEIVED_FIELD, String(session.received)]] : [];
    exchange.respond({ status, fields: [...this.#fields(session.id), ...received, ...fields], keep: true });
  }

  #askToStart(exchange: Exchange): void {
    let session: PushSession | undefined;
    const refuse = (error: unknown) => this.#refuse(exchange, error, () => session?.challenged('start'));
    try {
      session = this.#sessionToStart(exchange);
      const moved = plainAddress(exchange.remoteAddress) !== session.address;
      const asked = this.#gate.start?.({ path: session.path, exchange, moved });
      if (asked instanceof Promise) {
        asked.then(() => this.#start(exchange, this.#sessionToStart(exchange))).catch(refuse);
      } else {
        this.#start(exchange, session);
      }
    } catch (error) {
      refuse(error);
    }
  }

  #start(exchange: Exchange, session: PushSession): void {
    const refused = session.pushStart(exchange);
    if (refused !== undefined) throw new HttpError(refused, 'The session is already streaming.');
    this.#unstarted.delete(session);
  }

  #sessionToStart(exchange: Exchange): PushSession {
    const path = this.#checkSyntax(exchange);
    if (!isEncoder(exchange.request.headers.get('User-Agent'))) {
      throw new HttpError(400, 'A PushStart request must come from an encoder.');
    }
    const ids = pushIds(exchange.request.headers);
    if (ids.length === 0) throw new HttpError(400, 'A PushStart request needs a push-id.');
    const sessions = ids.map((id) => this.#sessions.get(id)).filter((session) => session !== undefined);
    const session = sessions.find(({ streaming }) => !streaming) ?? sessions[0];
    if (!session) throw new HttpError(404, 'There is no such session.');
    if (session.path !== path) throw new HttpError(404, 'The session is for another publishing point.');
    return session;
  }

  /**
   * Makes room for a session. A client that floods the server displaces its own sessions, not those of encoders about
   * to start.
   */
  #makeRoom(address: string): boolean {
    const { maxSessions = MAX_SESSIONS, maxIdleSessions = MAX_IDLE_SESSIONS } = this.#options;
    while (this.#unstarted.size >= maxIdleSessions || this.#sessions.size >= maxSessions) {
      const goes = oldestOf(this.#unstarted, address);
      if (!goes) break;
      goes.disconnect(503);
    }
    return this.#sessions.size < maxSessions;
  }

  #forget(session: PushSession): void {
    this.#sessions.delete(session.id);
    this.#unstarted.delete(session);
  }

  /**
   * Returns a push-id that cannot be guessed (MS-WMHTTP 5.1). It has only decimal digits, like those of Windows
   * servers, because one known encoder takes no others; and few enough of them for 64 bits.
   */
  #newId(): string {
    for (;;) {
      const id = `${this.#ids.random(1e8, 1e9)}${String(randomInt(0, 1e9)).padStart(9, '0')}`;
      if (!this.#sessions.has(id)) return id;
    }
  }
}

function oldestOf(sessions: ReadonlySet<PushSession>, address: string): PushSession | undefined {
  let oldest: PushSession | undefined;
  for (const session of sessions) {
    if (session.address === address) return session;
    oldest ??= session;
  }
  return oldest;
}

const ESCAPES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

function playThis({ host, secure }: Exchange, path: string): Buffer {
  const url = `http${secure ? 's' : ''}://${host}${encodeURI(path)}`.replace(
    /[&<>"]/g,
    (character) => ESCAPES[character]!,
  );
  return Buffer.from(`<asx version="3.0">\r\n<entry><ref href="${url}"/></entry>\r\n</asx>\r\n`, 'latin1');
}
