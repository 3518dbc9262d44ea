import type { AccessDecision, Rule } from '../auth/access.js';
import type { Caller, Finish } from '../auth/dialog.js';
import { Refusal } from '../refusal.js';
import {
  type Content,
  type ContentInfo,
  type ContentRequest,
  type Found,
  isRedirect,
  type PlayerReport,
  type PlaylistPlace,
  type Program,
  type Redirect,
  type Visitor,
} from './content.js';
import { headerOf } from './entry.js';
import { type Limits, LocalLimits, type Ticket } from './limits.js';

/** Decides who may do what; implemented by `AccessControl`. */
export interface AccessCheck {
  check(caller: Caller, rule: Rule, what: string): AccessDecision | Promise<AccessDecision>;
}

/** The content, and the checks in front of it. */
export interface EntranceOptions {
  readonly content: Content;
  /** Default: no access control. */
  readonly access?: AccessCheck;
  /** Default: no limits. */
  readonly limits?: Limits;
  /** Asked before somebody who has access plays. @throws Refusal */
  readonly admit?: ((guest: Guest) => Promise<void>) | undefined;
  /** Told how each attempt to describe or play content ends, for the logs. */
  readonly onAttempt?: ((attempt: Attempt) => void) | undefined;
}

/** The end of an attempt to describe or play content. */
export interface Attempt {
  readonly visitor: Visitor;
  readonly path: string;
  readonly remoteAddress: string;
  /** The authenticated user, if authentication was required. */
  readonly user: string | undefined;
  /** Why it was refused, or failed; undefined if the content was opened. */
  readonly error: unknown;
}

/** Somebody who wants to play, and has access. */
export interface Guest {
  /** The path of a publishing point, or of content. */
  readonly path: string;
  readonly remoteAddress: string;
  readonly user: string | undefined;
}

/** Permission to use content, for one request or for as long as a player plays. */
export interface Pass {
  /** The path that it is counted under: that of a publishing point, else the requested path. */
  readonly path: string;
  /** The rule that the caller was admitted under. */
  readonly rule: Rule;
  /** The authenticated user, if authentication was required. */
  readonly user: string | undefined;
  /** The last message of the authentication scheme, if it has one. */
  readonly finish: Finish | undefined;
  /** @throws as `Found.info` */
  info(): Promise<ContentInfo>;
  /** As `Found.forward`; undefined for content of this server. */
  readonly forward: Found['forward'];
  /** As `Found.report`. May be kept without the pass. */
  readonly report: (report: PlayerReport) => void;
  /**
   * May be called more than once, for example by a session that gave its program back for a while.
   *
   * @param signal ends waits; default: that of the request
   * @throws as `Found.open`
   */
  open(place?: PlaylistPlace, signal?: AbortSignal): Promise<Program>;
  /**
   * Takes a place among the players for the same caller, who is not authenticated again. For protocols whose clients
   * log in only when content is described.
   *
   * @param signal ends waits
   * @throws Refusal `busy` if no place is left
   */
  play(signal: AbortSignal): Promise<Pass>;
  /** Gives up the place among the players. Further calls have no effect. May be kept without the pass. */
  readonly leave: () => void;
}

const NO_TICKET: Ticket = { release: () => {} };
const NO_REPORT = () => {};

/**
 * The only way to content, for every protocol: locate it, check access, take a place, and only then open it. So a
 * stranger can start and open nothing, and learns of protected content only that it is protected.
 */
export class Entrance {
  readonly #content: Content;
  readonly #access: AccessCheck | undefined;
  readonly #limits: Limits;
  readonly #admit: EntranceOptions['admit'];
  readonly #onAttempt: EntranceOptions['onAttempt'];

  constructor({ content, access, limits = new LocalLimits(), admit, onAttempt }: EntranceOptions) {
    this.#content = content;
    this.#access = access;
    this.#limits = limits;
    this.#admit = admit;
    this.#onAttempt = onAttempt;
  }

  /**
   * @returns where to go instead, for content that has moved
   * @throws Refusal; if it has challenges, the next attempt must use the same connection. Throws the reason of the
   * request's signal if the caller has gone.
   */
  async enter(request: ContentRequest): Promise<Pass | Redirect> {
    const ended = this.#attempt(request);
    const { path, caller, purpose, standing, signal } = request;
    let user: string | undefined;
    try {
      const found = await this.#content.find(request);
      if (isRedirect(found)) return found;
      const what = `${purpose === 'event' ? 'report on' : 'play'} ${path}`;
      const access = await this.#access?.check(caller, standing ?? found.rule, what);
      if (access && !access.granted) throw access.refusal;
      user = access?.user;
      if ('missing' in found) throw found.missing;
      await found.admit?.();
      signal.throwIfAborted();
      if (found.closed && purpose !== 'event' && !isForNew(found.closed, standing)) throw found.closed;
      return await this.#pass(request, found, access, ended);
    } catch (error) {
      ended?.(error, user);
      throw error;
    }
  }

  async #pass(
    { caller: { remoteAddress }, purpose, standing, signal }: ContentRequest,
    found: Found,
    access: Extract<AccessDecision, { granted: true }> | undefined,
    ended: Ended | undefined,
  ): Promise<Pass> {
    const { path: counted, limits, bitRate } = found;
    const user = access?.user;
    const take = async (until: AbortSignal) => {
      await this.#admit?.({ path: counted, remoteAddress, user });
      until.throwIfAborted();
      return this.#limits.take({ path: counted, limits, bitRate });
    };
    const report = reporting(found);
    const open = opening(found, user, ended);
    const pass = (ticket: Ticket, finish: Finish | undefined, ends: AbortSignal): Pass => ({
      path: counted,
      rule: standing ?? found.rule,
      user,
      finish,
      info: () => found.info(),
      forward: found.forward && ((request, until) => found.forward!(request, until)),
      report,
      open: (place, until = ends) => open(until, place),
      play: async (until) => pass(await take(until), undefined, until),
      leave: leaving(ticket),
    });
    return pass(purpose === 'play' ? await take(signal) : NO_TICKET, access?.finish, signal);
  }

  /** Returns a function that reports how a request ends; undefined if nobody wants to know. */
  #attempt({ purpose, visitor, path, caller: { remoteAddress }, signal }: ContentRequest): Ended | undefined {
    const onAttempt = this.#onAttempt;
    if (!onAttempt || !visitor || (purpose !== 'play' && purpose !== 'describe')) return undefined;
    return (error, user) => {
      // A client that has gone was not refused.
      if (!signal.aborted) onAttempt({ visitor, path, remoteAddress, user, error });
    };
  }
}

type Ended = (error: unknown, user: string | undefined) => void;

/** True if content is closed to new players only, and this one plays already. */
function isForNew({ kind }: Refusal, standing: Rule | undefined): boolean {
  return standing !== undefined && kind === 'busy';
}

/** Opens content, and says once how that went: a session may open it again later. */
function opening(found: Found, user: string | undefined, ended: Ended | undefined): Found['open'] {
  let untold = ended;
  return async (signal, place) => {
    const tell = untold;
    untold = undefined;
    try {
      const program = await found.open(signal, place);
      tell?.(isOffline(program) ? new Refusal('offline', `${found.path} is offline.`) : undefined, user);
      return program;
    } catch (error) {
      if (!signal.aborted) tell?.(error, user);
      throw error;
    }
  };
}

/** True for what every protocol refuses to play: a live entry that nothing feeds. */
function isOffline({ current }: Program): boolean {
  return current.kind === 'live' && !(current.broadcast.live && headerOf(current));
}

/** A separate function: one created in `enter` would keep the request in memory for as long as the player plays. */
function leaving(ticket: Ticket): () => void {
  return () => ticket.release();
}

/** As above: it keeps what takes the reports, and nothing else. */
function reporting({ report }: Found): (report: PlayerReport) => void {
  return report ?? NO_REPORT;
}
