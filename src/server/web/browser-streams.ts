import { orAborted } from '../../abort.js';
import { callerOf } from '../../auth/header-dialog.js';
import { printable } from '../../errors.js';
import { plainAddress } from '../../http/addresses.js';
import type { Exchange } from '../../http/exchange.js';
import { HttpError } from '../../http/message.js';
import { isRedirect } from '../../playback/content.js';
import type { Entrance, Pass } from '../../playback/entrance.js';
import { Refusal } from '../../refusal.js';
import type { Hls, ViewerFacts } from '../hls/hls.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import { webFields } from './fields.js';

/** The parts of a server that streams for browsers need. */
export interface BrowserStreamsOptions {
  readonly points: PublishingPoints;
  readonly hls: Hls;
  readonly entrance: Pick<Entrance, 'enter'>;
}

/** Serves browsers the files of streams: `/live/index.m3u8` and its segments. */
export class BrowserStreams {
  readonly #options: BrowserStreamsOptions;

  constructor(options: BrowserStreamsOptions) {
    this.#options = options;
  }

  /**
   * Answers a request for a file of a stream. A viewer takes a place with its first request; each request is checked.
   *
   * @returns false for any other path
   */
  async handle(exchange: Exchange, path: string): Promise<boolean> {
    const { hls, points } = this.#options;
    if (!hls.offered) return false;
    const [, stem = '', name = ''] = /^(.+)\/(index\.m3u8|s\d{6,9}\.ts)$/.exec(path) ?? [];
    const point = points.get(path) || stem === '' ? undefined : points.named(stem);
    if (!point) return false;
    await this.#give(exchange, point, name);
    return true;
  }

  async #give(exchange: Exchange, point: PublishingPoint, name: string): Promise<void> {
    const { request, remoteAddress, secure, signal } = exchange;
    const { hls } = this.#options;
    const viewer = {
      transport: secure ? 'tls' : 'tcp',
      client: printable(request.headers.get('User-Agent') ?? ''),
      remoteAddress: plainAddress(remoteAddress),
    };
    const pass = await this.#admit(exchange, point, viewer);
    let place: Pass | undefined;
    try {
      const facts = { ...viewer, user: pass.user };
      if (!hls.knows(point.path, facts)) place = await pass.play(signal);
      if (point.feeder) await orAborted(point.feeder.demand([]), signal);
      const take = () => {
        const taken = place;
        place = undefined;
        return { leave: () => taken?.leave() };
      };
      const body = await hls.file({ point, name, facts, rule: pass.rule, take, signal });
      const type = name === 'index.m3u8' ? 'application/vnd.apple.mpegurl' : 'video/mp2t';
      exchange.respond({ status: 200, fields: webFields(type), body });
    } finally {
      place?.leave();
      pass.leave();
    }
  }

  /**
   * Lets a viewer in. As for the players of all protocols, a new rule or a point that accepts no new players does not
   * concern those that play already: they are checked by the rule that admitted them.
   */
  async #admit(exchange: Exchange, { path }: PublishingPoint, viewer: Omit<ViewerFacts, 'user'>): Promise<Pass> {
    const { hls, entrance } = this.#options;
    const caller = callerOf(exchange, { player: true });
    const asked = { path, caller, purpose: 'info', signal: exchange.signal } as const;
    for (const standing of hls.standing(path, viewer)) {
      const pass = await entrance.enter({ ...asked, standing }).catch(noneIfRefused);
      if (!pass || isRedirect(pass)) continue;
      if (hls.knows(path, { ...viewer, user: pass.user })) return pass;
      pass.leave();
    }
    const pass = await entrance.enter(asked);
    if (isRedirect(pass)) throw new HttpError(404, `${path} is on another server.`);
    return pass;
  }
}

function noneIfRefused(error: unknown): undefined {
  if (!(error instanceof Refusal)) throw error;
}
