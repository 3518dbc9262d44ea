import type { OriginRules } from '../playback/content.js';
import { type CacheRules, mayCache, mayShare, mustAsk, parseCacheControl } from '../wms/cache-control.js';
import type { CopyFacts } from './cache/copy-file.js';

/** What a proxy knows about content, from the last answer of its origin. */
export interface Known extends OriginRules {
  readonly rules: CacheRules;
  /** When the origin said so, in ms since 1970. */
  readonly checkedAt: number;
  /** True if the origin asked somebody for credentials: then everybody has to show some. */
  readonly guarded: boolean;
}

/** What has to be done before a player gets content (MS-WMSP 4.12, figure 16). */
export type Decision =
  /** Nothing: what is known is still true. */
  | 'use'
  /** The origin is asked first. */
  | 'ask';

/**
 * Decides whether the origin has to be asked before content is used (MS-WMSP 2.2.1.1.1, .2, .5): for content that
 * nothing is known of, that must be revalidated, whose time is over, or that not everybody may have.
 *
 * @param now ms since 1970
 */
export function decide(known: Known | undefined, now: number): Decision {
  if (!known || known.guarded || mustAsk(known.rules)) return 'ask';
  // Content that may not be shared is asked for again by each player.
  if (!mayShare(known.rules) && !known.rules.split) return 'ask';
  const age = (now - known.checkedAt) / 1000;
  // A clock that was set back says nothing.
  return age >= 0 && age < (known.rules.maxAge ?? 0) ? 'use' : 'ask';
}

/** How content reaches the players. */
export type Delivery =
  /** From the cache, which is filled meanwhile. */
  | 'cache'
  /** From one stream of the origin for all of them. */
  | 'split'
  /** From a stream of the origin for each of them. */
  | 'stream'
  /** Read from the origin by each of them; nothing is kept. */
  | 'through';

/** Decides how content is delivered (MS-WMSP 4.12.1), by what the origin says about it. */
export function deliveryOf({ rules }: Pick<Known, 'rules'>): Delivery {
  if (rules.streamTypes.has('broadcast')) return rules.split ? 'split' : 'stream';
  if (rules.streamTypes.has('playlist')) return 'stream';
  return mayCache(rules) ? 'cache' : 'through';
}

/** True if a copy is of the content that the origin has. */
export function isCopyOf(facts: Pick<CopyFacts, 'etag' | 'lastModified'>, state: OriginRules): boolean {
  if (facts.etag !== undefined || state.etag !== undefined) return facts.etag === state.etag;
  return facts.lastModified !== undefined && facts.lastModified === state.lastModified;
}

/** Returns what a copy on the disk says. */
export function knownFrom({ cacheControl, etag, lastModified, checkedAt, guarded }: CopyFacts): Known {
  return { cacheControl, rules: parseCacheControl(cacheControl), etag, lastModified, checkedAt, guarded };
}
