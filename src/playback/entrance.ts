import type { AccessDecision, Rule } from '../auth/access.js';
import type { Caller, Finish } from '../auth/dialog.js';
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
} from './content.js';
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
  /** The authenticated user, if authentication was required. */
  readonly user: string | undefined;
  /** The last message of the authentication scheme, if it has one. */
  readonly finish: Finish | undefined;
  /** @throws as `Found.info` */
  info(): Promise<ContentInfo>;
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

  constructor({ content, access, limits = new LocalLimits(), admit }: EntranceOptions) {
    this.#content = content;
    this.#access = access;
    this.#limits = limits;
    this.#admit = admit;
  }

  /**
   * @returns where to go instead, for content that has moved
   * @throws Refusal; if it has challenges, the next attempt must use the same connection. Throws the reason of the
   * request's signal if the caller has gone.
   */
  async enter(request: ContentRequest): Promise<Pass | Redirect> {
    const { path, caller, purpose, signal } = request;
    const found = await this.#content.find(request);
    if (isRedirect(found)) return found;
    const access = await this.#access?.check(
      caller,
      found.rule,
      `${purpose === 'event' ? 'report on' : 'play'} ${path}`,
    );
    if (access && !access.granted) throw access.refusal;
    if ('missing' in found) throw found.missing;
    await found.admit?.();
    signal.throwIfAborted();
    const { path: counted, limits, bitRate, closed } = found;
    if (closed && purpose !== 'event') throw closed;
    const take = async (until: AbortSignal) => {
      await this.#admit?.({ path: counted, remoteAddress: caller.remoteAddress, user: access?.user });
      until.throwIfAborted();
      return this.#limits.take({ path: counted, limits, bitRate });
    };
    const report = reporting(found);
    const pass = (ticket: Ticket, finish: Finish | undefined, ends: AbortSignal): Pass => ({
      path: counted,
      user: access?.user,
      finish,
      info: () => found.info(),
      report,
      open: (place, until = ends) => found.open(until, place),
      play: async (until) => pass(await take(until), undefined, until),
      leave: leaving(ticket),
    });
    return pass(purpose === 'play' ? await take(signal) : NO_TICKET, access?.finish, signal);
  }
}

/** A separate function: one created in `enter` would keep the request in memory for as long as the player plays. */
function leaving(ticket: Ticket): () => void {
  return () => ticket.release();
}

/** As above: it keeps what takes the reports, and nothing else. */
function reporting({ report }: Found): (report: PlayerReport) => void {
  return report ?? NO_REPORT;
}
