import type { AccessDecision, Rule } from '../auth/access.js';
import type { Caller, Finish } from '../auth/dialog.js';
import {
  type Content,
  type ContentInfo,
  type ContentRequest,
  isRedirect,
  type PlaylistPlace,
  type Program,
  type Redirect,
} from './content.js';
import { type Limits, LocalLimits, type Ticket } from './limits.js';

/** Decides who may do what; `AccessControl` is one. */
export interface AccessCheck {
  check(caller: Caller, rule: Rule, what: string): AccessDecision | Promise<AccessDecision>;
}

export interface EntranceOptions {
  readonly content: Content;
  /** Default: everybody may have everything. */
  readonly access?: AccessCheck;
  /** Default: none. */
  readonly limits?: Limits;
}

/** Leave to have content, for one request or for as long as somebody plays. */
export interface Pass {
  /** What it is counted under: the path of a publishing point, else the path that was asked for. */
  readonly path: string;
  /** Who was let in, if that was asked. */
  readonly user: string | undefined;
  /** What the scheme of the credentials has left to say. */
  readonly finish: Finish | undefined;
  /** @throws as `Found.info` */
  info(): Promise<ContentInfo>;
  /**
   * May be called more than once, as by a session that gave its program back for a while.
   *
   * @param signal ends waits; default that of the request
   * @throws as `Found.open`
   */
  open(place?: PlaylistPlace, signal?: AbortSignal): Promise<Program>;
  /** Gives the place among the players back. More than one call does nothing. */
  leave(): void;
}

const NO_TICKET: Ticket = { release: () => {} };

/**
 * The one way to content, whatever the protocol: locate it, ask who wants it, take a place, and only then open it. So a stranger
 * starts nothing and opens nothing, and learns of protected content only that it is protected.
 */
export class Entrance {
  readonly #content: Content;
  readonly #access: AccessCheck | undefined;
  readonly #limits: Limits;

  constructor({ content, access, limits = new LocalLimits() }: EntranceOptions) {
    this.#content = content;
    this.#access = access;
    this.#limits = limits;
  }

  /**
   * @returns where to go instead, for content that has moved
   * @throws Refusal; with challenges the next try belongs to the same connection. The reason of the request's signal if whoever asks
   *   has gone meanwhile.
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
    signal.throwIfAborted();
    const { path: counted, maxPlayers } = found;
    const ticket = purpose === 'play' ? await this.#limits.take({ path: counted, maxPlayers }) : NO_TICKET;
    return {
      path: counted,
      user: access?.user,
      finish: access?.finish,
      info: () => found.info(),
      open: (place, until = signal) => found.open(until, place),
      leave: () => ticket.release(),
    };
  }
}
