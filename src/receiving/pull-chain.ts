import { randomBytes } from 'node:crypto';

/*
 * A server that pulls on behalf of a client that is itself a pulling server says so: its request names all pulls that
 * wait for the answer. A server that finds its own pull among them would wait for itself, so it refuses (rings of
 * servers). It also refuses if there are too many servers in between.
 */

/** The header field with the pulls that wait for an answer, the first one first, separated by commas. */
export const PULL_CHAIN_FIELD = 'X-Wmcast-Pulls';

/** The pulls that wait for an answer. @public */
export type PullChain = readonly string[];

/** The maximum number of servers in a chain; longer chains are of no use. */
export const MAX_HOPS = 8;

/** Identifies this process, so that no two servers have pulls of the same name. */
const NODE = randomBytes(6).toString('hex');
const NAME = /^[\da-z]{1,32}\.\d{1,10}$/;
let pulls = 0;

/** Returns a name for a pull that is unique here and elsewhere. */
export function newPullName(): string {
  return `${NODE}.${++pulls}`;
}

/** Reads the value of the field; malformed names, and those after the first {@link MAX_HOPS} + 1, are ignored. */
export function parsePullChain(value: string | undefined): PullChain {
  if (value === undefined) return [];
  const names = value.slice(0, 1_024).split(',', MAX_HOPS + 1);
  return names.map((name) => name.trim()).filter((name) => NAME.test(name));
}

/** Formats the value of the field. */
export function formatPullChain(chain: PullChain): string {
  return chain.join(', ');
}
