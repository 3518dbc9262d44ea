import { orAborted } from '../../abort.js';
import type { Rule } from '../../auth/access.js';
import { steadyNow } from '../../clock.js';
import { messageOf } from '../../errors.js';
import { HttpError } from '../../http/message.js';
import type { SessionFacts, SessionRegistry } from '../../playback/registry.js';
import { Refusal } from '../../refusal.js';
import { ffmpegOnce } from '../ffmpeg.js';
import type { PublishingPoint } from '../points/points.js';
import { HlsEncoder } from './encoder.js';

/** How streams are shown to browsers. */
export interface HlsOptions {
  /** The most points that are encoded at a time; undefined to offer no stream. */
  readonly points: () => number | undefined;
  readonly registry: SessionRegistry;
  readonly onWarning: (message: string) => void;
  /** Returns the path of ffmpeg; rejects without one. */
  readonly ffmpeg?: (() => Promise<string>) | undefined;
  /** How long after its last request a viewer counts as gone, in ms; default 15000. */
  readonly linger?: number;
}

/** A viewer's request for a file of a stream. */
export interface HlsRequest {
  readonly point: PublishingPoint;
  /** `index.m3u8` or the name of a segment. */
  readonly name: string;
  readonly facts: ViewerFacts;
  /** The rule that admits the viewer. */
  readonly rule: Rule;
  /** Returns a place among the players, which the viewer keeps; called for its first request. */
  readonly take: () => { readonly leave: () => void };
  readonly signal: AbortSignal;
}

/** What is known of a viewer. */
export type ViewerFacts = Omit<SessionFacts, 'role' | 'protocol' | 'path'>;

interface Viewer {
  readonly path: string;
  readonly facts: ViewerFacts;
  readonly rule: Rule;
  readonly over: () => void;
  at: number;
  bytes: number;
}

const LINGER = 15_000;
/** How long a viewer whose session was ended is refused, in ms. */
const BANISHMENT = 60_000;
const SWEEP = 1_000;
/** Viewers that are known; further ones are refused. */
const MAX_VIEWERS = 5_000;

/**
 * Live streams for browsers and phones: HLS, which ffmpeg makes from the broadcast. The first viewer of a point starts
 * it, and it ends after the last one. A viewer is an address with a program; each takes a place among the players.
 */
export class Hls {
  readonly #options: HlsOptions;
  readonly #linger: number;
  readonly #encoders = new Map<string, Promise<HlsEncoder>>();
  readonly #viewers = new Map<string, Viewer>();
  /** Until when viewers are refused, in ms. */
  readonly #banished = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: HlsOptions) {
    this.#options = options;
    this.#linger = options.linger ?? LINGER;
  }

  /** True if streams are offered. */
  get offered(): boolean {
    return this.#options.points() !== undefined;
  }

  /** True if a request comes from a viewer that has its place already. */
  knows(path: string, facts: ViewerFacts): boolean {
    return this.#viewers.has(keyOf(path, facts));
  }

  /**
   * Returns the rules under which the viewers of a program at an address were admitted. As for all players, another rule
   * counts for those that come later.
   */
  standing(path: string, { client, remoteAddress }: Pick<ViewerFacts, 'client' | 'remoteAddress'>): ReadonlySet<Rule> {
    const rules = new Set<Rule>();
    for (const { path: watched, facts, rule } of this.#viewers.values()) {
      if (watched === path && facts.client === client && facts.remoteAddress === remoteAddress) rules.add(rule);
    }
    return rules;
  }

  /**
   * Returns the playlist or a segment.
   *
   * @throws Refusal `offline`, `busy`, `forbidden`; HttpError 404 for a segment that is gone
   */
  async file(request: HlsRequest): Promise<Buffer> {
    const { point, name, facts, signal } = request;
    const key = keyOf(point.path, facts);
    if (steadyNow() < (this.#banished.get(key) ?? 0)) throw new Refusal('forbidden', 'The session was ended.');
    if (!this.#viewers.has(key)) this.#begin(key, request);
    const viewer = this.#viewers.get(key)!;
    viewer.at = steadyNow();
    const encoder = await orAborted(this.#encoderOf(point), signal);
    const body = name === 'index.m3u8' ? await encoder.playlist(signal) : await encoder.segment(name);
    viewer.at = steadyNow();
    if (!body) throw new HttpError(404, `${point.path} has no segment ${name}.`);
    viewer.bytes += body.length;
    return body;
  }

  close(): void {
    clearInterval(this.#timer);
    for (const key of [...this.#viewers.keys()]) this.#end(key);
    for (const encoder of this.#encoders.values()) encoder.then((each) => each.stop(), ignore);
    this.#encoders.clear();
  }

  #begin(key: string, { point: { path }, facts, rule, take }: HlsRequest): void {
    if (this.#viewers.size >= MAX_VIEWERS) throw new Refusal('busy', 'There are too many viewers.');
    const { leave } = take();
    const viewer: Viewer = { path, facts, rule, at: steadyNow(), bytes: 0, over: () => {} };
    const over = this.#options.registry.begin({
      ...facts,
      role: 'player',
      protocol: 'HLS',
      path,
      counts: () => ({ bytes: viewer.bytes, packets: 0, lost: 0 }),
      stop: () => {
        this.#banished.set(key, steadyNow() + BANISHMENT);
        this.#end(key);
      },
    });
    this.#viewers.set(
      key,
      Object.assign(viewer, {
        over: () => {
          over();
          leave();
        },
      }),
    );
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP).unref();
  }

  async #encoderOf({ path, broadcast }: PublishingPoint): Promise<HlsEncoder> {
    const known = this.#encoders.get(path);
    const running = await known;
    if (running && !running.over) return running;
    const { points, ffmpeg = async () => (await ffmpegOnce()).path, onWarning } = this.#options;
    if (known && this.#encoders.get(path) === known) this.#encoders.delete(path);
    const another = this.#encoders.get(path);
    if (another) return another;
    if (this.#encoders.size >= (points() ?? 0)) throw new Refusal('busy', 'No more points can be shown to browsers.');
    const onEnded = () => this.#sourceEnded(path);
    const started = ffmpeg().then((program) => HlsEncoder.start(program, broadcast, onEnded));
    this.#encoders.set(path, started);
    started.catch((error: unknown) => {
      if (this.#encoders.get(path) === started) this.#encoders.delete(path);
      if (!(error instanceof Refusal)) onWarning(`${path} cannot be shown to browsers: ${messageOf(error)}`);
    });
    return started;
  }

  #sweep(): void {
    const now = steadyNow();
    for (const [key, until] of this.#banished) if (now >= until) this.#banished.delete(key);
    for (const [key, { at }] of this.#viewers) if (now - at >= this.#linger) this.#end(key);
    const watched = new Set([...this.#viewers.values()].map(({ path }) => path));
    for (const [path, encoder] of this.#encoders) {
      if (watched.has(path)) continue;
      this.#encoders.delete(path);
      encoder.then((each) => each.stop(), ignore);
    }
    if (this.#viewers.size > 0 || this.#banished.size > 0 || this.#encoders.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** The players of a broadcast that ends are gone with it. */
  #sourceEnded(ended: string): void {
    for (const [key, { path }] of this.#viewers) if (path === ended) this.#end(key);
  }

  #end(key: string): void {
    const viewer = this.#viewers.get(key);
    this.#viewers.delete(key);
    viewer?.over();
  }
}

function keyOf(path: string, { remoteAddress, client, user }: ViewerFacts): string {
  return JSON.stringify([path, remoteAddress, client, user]);
}

function ignore(): void {}
