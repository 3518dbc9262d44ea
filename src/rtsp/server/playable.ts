import { randomBytes } from 'node:crypto';
import type { AsfHeader } from '../../asf/header.js';
import type { Program } from '../../playback/content.js';
import { type Entry, headerOf } from '../../playback/entry.js';
import { Refusal } from '../../refusal.js';

/** The header of the entry that a program is on. @throws Refusal offline */
export function playable(program: Program, path: string): AsfHeader {
  const { current } = program;
  const header = headerOf(current);
  if (!header || (current.kind === 'live' && !current.broadcast.live)) {
    throw new Refusal('offline', `${path} is offline.`);
  }
  return header;
}

/** Of broadcasts. */
const ssrcs = new WeakMap<object, number>();

/** Returns the SSRC of a session that begins with an entry: one for all players of a broadcast, else a random one. */
export function ssrcOf(entry: Entry): number {
  const random = randomBytes(4).readUInt32BE();
  if (entry.kind === 'file') return random;
  const known = ssrcs.get(entry.broadcast) ?? random;
  ssrcs.set(entry.broadcast, known);
  return known;
}
