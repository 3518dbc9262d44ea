import { randomBytes } from 'node:crypto';

/*
 * A server that pulls from another one for somebody who pulls from it says for whom: its request names all the pulls that wait for the
 * answer. A server that finds its own pull there would wait for itself, so it refuses (rings of servers), and so it does when too many
 * servers stand between.
 */

/** The header field with the pulls that wait for an answer, the first one first, with commas between them. */
export const PULL_CHAIN_FIELD = 'X-Wmcast-Pulls';

/** The pulls that wait for an answer. */
export type PullChain = readonly string[];

/** More servers one behind the other are none that anybody wants. */
export const MAX_HOPS = 8;

/** Names this process, so that no two servers have pulls of one name. */
const NODE = randomBytes(6).toString('hex');
const NAME = /^[\da-z]{1,32}\.\d{1,10}$/;
let pulls = 0;

/** A name for a pull that no other one has, here or elsewhere. */
export function newPullName(): string {
  return `${NODE}.${++pulls}`;
}

/** Reads the value of the field; what is none is left out, and so is what comes after the first {@link MAX_HOPS} and one more. */
export function parsePullChain(value: string | undefined): PullChain {
  if (value === undefined) return [];
  const names = value.slice(0, 1_024).split(',', MAX_HOPS + 1);
  return names.map((name) => name.trim()).filter((name) => NAME.test(name));
}

/** The value of the field. */
export function formatPullChain(chain: PullChain): string {
  return chain.join(', ');
}
