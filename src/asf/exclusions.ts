import { GUID } from './guid.js';
import type { AsfHeader, HeaderObject } from './header.js';
import { flattenObjects } from './stream.js';

/** Streams that belong together. */
type Choice = readonly number[];

/** Streams of which only one choice is sent at a time. */
export interface Exclusion {
  /** How the choices differ (asf.md 3.7). */
  readonly by: 'bitrate' | 'language' | 'unknown';
  /** Two or more, in the order of the object, and only with streams that the header declares. */
  readonly choices: readonly Choice[];
}

/**
 * Returns which streams of a header exclude each other. In Bitrate and Advanced Mutual Exclusion objects each stream is
 * a choice, in Group Mutual Exclusion objects each record. They may be in the header or in its extension (asf.md 3.7,
 * 4.2).
 */
export function exclusionsOf({ objects, streams }: Pick<AsfHeader, 'objects' | 'streams'>): Exclusion[] {
  const declared = new Set(streams.map(({ number }) => number));
  return flattenObjects(objects).flatMap((object): Exclusion[] => {
    const named = choicesOf(object);
    if (!named) return [];
    const choices = new Map<string, Choice>();
    for (const choice of named.choices) {
      const known = [...new Set(choice)].filter((number) => declared.has(number));
      if (known.length > 0) choices.set(known.join(), known);
    }
    return choices.size > 1 ? [{ by: named.by, choices: [...choices.values()] }] : [];
  });
}

function choicesOf(object: HeaderObject): { by: Exclusion['by']; choices: readonly Choice[] } | undefined {
  switch (object.type) {
    case 'bitrateMutualExclusion':
    case 'advancedMutualExclusion':
      return { by: reasonOf(object.exclusionType), choices: object.streamNumbers.map((number) => [number]) };
    case 'groupMutualExclusion':
      return { by: reasonOf(object.exclusionType), choices: object.groups };
    default:
      return undefined;
  }
}

function reasonOf(exclusionType: string): Exclusion['by'] {
  if (exclusionType === GUID.mutexBitrate) return 'bitrate';
  return exclusionType === GUID.mutexLanguage ? 'language' : 'unknown';
}

/**
 * Returns the streams to leave out so that one choice of each exclusion remains. Where exclusions overlap, a choice
 * kept for an earlier one stays.
 * @param pick selects one of the choices that are still possible (at least one); default: the first
 */
export function leftOut(
  exclusions: readonly Exclusion[],
  pick: (choices: readonly Choice[], by: Exclusion['by']) => Choice = ([first]) => first!,
): Set<number> {
  const out = new Set<number>();
  const kept = new Set<number>();
  for (const { by, choices } of exclusions) {
    const possible = choices.filter((choice) => !choice.some((number) => out.has(number)));
    if (possible.length === 0) continue;
    const held = possible.filter((choice) => choice.some((number) => kept.has(number)));
    const picked = new Set(pick(held.length > 0 ? held : possible, by));
    for (const number of picked) kept.add(number);
    for (const number of choices.flat()) if (!picked.has(number)) out.add(number);
  }
  return out;
}
