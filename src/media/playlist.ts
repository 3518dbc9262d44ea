import { WmError } from '../errors.js';

/** The most entries of a playlist, each counted once however often it repeats. */
export const MAX_PLAYLIST_ENTRIES = 10_000;
/** The deepest nesting of sequences and switches. */
const MAX_DEPTH = 512;
/** Identifiers are 1 to 4294967295 (MS-WMSP 2.2.1.4.18). */
const MAX_ID = 0xffff_ffff;

/**
 * One item to play. `S` is the type of its location: a text as written in a file, or what that text was resolved to.
 *
 * @public
 */
export interface PlaylistMedia<S = string> {
  readonly kind: 'media';
  /** Where the same item can be found, in the order to try; the first that can be opened is played. */
  readonly sources: readonly S[];
  /** Where to begin in the file, in ms from its start (`clipBegin`). Ignored for a live source. */
  readonly begin?: number;
  /** Where to end in the file, in ms from its start (`clipEnd`). Ignored for a live source. */
  readonly end?: number;
  /** How long to play at most, in ms; the earlier of this and `end` applies. */
  readonly dur?: number;
  /** How long to wait before it begins, in ms. */
  readonly delay?: number;
  /** True if the player may not skip it, nor seek in it. */
  readonly noSkip: boolean;
  /** Its purpose, such as `advertisement`; players log it as cs-media-role (MS-WMLOG 2.1.30). */
  readonly role?: string;
  readonly mediaName?: string;
  /** Metadata for players by name (`title`, `author`, `bannerURL`, …), which replaces that of the ASF header. */
  readonly clientData: ReadonlyMap<string, string>;
  /** Where it is defined, as `file:line:column`, for messages. */
  readonly place?: string;
}

/** Items in sequence, all of them `repeat` times: 1 or more, `Infinity` for ever. @public */
export interface PlaylistSequence<S = string> {
  readonly kind: 'seq';
  readonly items: readonly PlaylistNode<S>[];
  readonly repeat: number;
}

/** Plays the first alternative that can be played, then whatever follows the switch. @public */
export interface PlaylistSwitch<S = string> {
  readonly kind: 'switch';
  readonly alternatives: readonly PlaylistNode<S>[];
}

/** @public */
export type PlaylistNode<S = string> = PlaylistMedia<S> | PlaylistSequence<S> | PlaylistSwitch<S>;

/** A playlist entry at its position in the course of the playlist. @public */
export interface PlaylistEntry<S = string> extends PlaylistMedia<S> {
  /**
   * 1 to 4294967295, for playlist-gen-id and playlist-seek-id (MS-WMSP 2.2.1.4.18, 2.2.1.4.19). Every entry of the
   * course has its own, even in each round of a loop (MS-WMSP 3.2.4.2), and it is the same for all players and after a
   * restart.
   */
  readonly id: number;
  /** How much of it to play, in ms of media from `begin`, within `end` and `dur`; undefined for all of it. */
  readonly duration?: number;
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
}

/**
 * Returns the alternatives of a switch as one node: neighbours that differ only in location become one entry with
 * several sources, and a single alternative needs no switch.
 */
export function alternativesOf<S>(nodes: readonly PlaylistNode<S>[]): PlaylistNode<S> {
  const runs: PlaylistNode<S>[][] = [];
  for (const node of nodes) {
    const [first] = runs.at(-1) ?? [];
    if (first?.kind === 'media' && node.kind === 'media' && presentedAlike(first, node)) runs.at(-1)!.push(node);
    else runs.push([node]);
  }
  const alternatives = runs.map((run): PlaylistNode<S> => {
    const [first] = run;
    if (first?.kind !== 'media' || run.length === 1) return first!;
    return { ...first, sources: run.flatMap((node) => (node.kind === 'media' ? node.sources : [])) };
  });
  return alternatives.length === 1 ? alternatives[0]! : { kind: 'switch', alternatives };
}

const PRESENTATION = ['begin', 'end', 'dur', 'delay', 'noSkip', 'role', 'mediaName'] as const;

function presentedAlike<S>(one: PlaylistMedia<S>, other: PlaylistMedia<S>): boolean {
  if (PRESENTATION.some((name) => one[name] !== other[name])) return false;
  if (one.clientData === other.clientData) return true;
  if (one.clientData.size !== other.clientData.size) return false;
  for (const [name, value] of one.clientData) if (other.clientData.get(name) !== value) return false;
  return true;
}

/**
 * A part of the course. Its positions are numbered from 0: a sequence takes those of its items once for each round, a
 * switch those of all its alternatives, of which only one is played. So each position is one entry, found without
 * unrolling.
 *
 * @public
 */
export interface Span<S> {
  readonly node: PlaylistNode<S>;
  /** Positions in one round. */
  readonly round: number;
  /** Positions in all; Infinity if it never ends. */
  readonly weight: number;
  readonly children: readonly Span<S>[];
  /** Where each child begins, from the start of a round. */
  readonly starts: readonly number[];
}

/**
 * A server-side playlist (MS-WMSP 1.3, MS-MSSOD 1.1). It is immutable; any number of cursors may walk through it.
 *
 * @public
 */
export class Playlist<S = string> {
  readonly items: readonly PlaylistNode<S>[];
  /** How often it plays, 1 or more; Infinity for ever. */
  readonly repeat: number;
  /** Number of entries, each counted once. */
  readonly entryCount: number;
  /** True if some entry may not be skipped. */
  readonly hasNoSkip: boolean;
  readonly #root: Span<S>;

  /**
   * @throws WmError WM_CONFIG for more than 10 000 entries, for more than 4294967295 with their repetitions if these
   *   are finite, for an endless alternative before others (they could never be tried), and for nesting that is too
   *   deep
   */
  constructor(items: readonly PlaylistNode<S>[], options: { readonly repeat?: number } = {}) {
    this.items = items;
    this.repeat = options.repeat ?? 1;
    const counts = { entries: 0, noSkip: false };
    this.#root = spanOf({ kind: 'seq', items, repeat: this.repeat }, counts, 0);
    if (this.#root.weight !== Number.POSITIVE_INFINITY && this.#root.weight > MAX_ID) {
      throw new WmError('WM_CONFIG', `The playlist has more than ${MAX_ID} entries when its repetitions are counted.`);
    }
    this.entryCount = counts.entries;
    this.hasNoSkip = counts.noSkip;
  }

  /** True if it never ends. */
  get loop(): boolean {
    return this.#root.weight === Number.POSITIVE_INFINITY;
  }

  /** Returns a cursor at the first entry. */
  cursor(): PlaylistCursor<S> {
    return new PlaylistCursor(this, this.#root);
  }

  /** Yields all entries as they are written, each once, alternatives included. */
  *media(): Generator<PlaylistMedia<S>, void, undefined> {
    yield* mediaOf(this.#root);
  }
}

function spanOf<S>(node: PlaylistNode<S>, counts: { entries: number; noSkip: boolean }, depth: number): Span<S> {
  if (depth > MAX_DEPTH) throw new WmError('WM_CONFIG', 'The parts of the playlist are nested too deep.');
  if (node.kind === 'media') {
    counts.noSkip ||= node.noSkip;
    if (++counts.entries > MAX_PLAYLIST_ENTRIES)
      throw new WmError('WM_CONFIG', `${prefix(node)}A playlist has at most ${MAX_PLAYLIST_ENTRIES} entries.`);
    return { node, round: 1, weight: 1, children: [], starts: [] };
  }
  const nodes = node.kind === 'seq' ? node.items : node.alternatives;
  const children = nodes.map((child) => spanOf(child, counts, depth + 1));
  const starts: number[] = [];
  let round = 0;
  for (const { weight } of children) {
    if (node.kind === 'switch' && round === Number.POSITIVE_INFINITY) {
      const message = 'Only the last alternative of a switch may repeat for ever.';
      throw new WmError('WM_CONFIG', `${prefix(nodes[starts.length - 1]!)}${message}`);
    }
    starts.push(round);
    round += weight;
  }
  const repeat = node.kind === 'seq' ? node.repeat : 1;
  // An endless loop of nothing is empty, not NaN.
  return { node, round, weight: round === 0 ? 0 : round * repeat, children, starts };
}

/** Returns the place of the first entry in a node, as the beginning of a message. */
function prefix<S>(node: PlaylistNode<S>): string {
  if (node.kind === 'media') return node.place === undefined ? '' : `${node.place}: `;
  const [first] = node.kind === 'seq' ? node.items : node.alternatives;
  return first === undefined ? '' : prefix(first);
}

function* mediaOf<S>({ node, children }: Span<S>): Generator<PlaylistMedia<S>, void, undefined> {
  if (node.kind === 'media') yield node;
  else for (const child of children) yield* mediaOf(child);
}

/**
 * A switch on the way to a position: where it begins and ends, and where the alternative with the position begins and
 * ends.
 */
interface Turn {
  readonly start: number;
  readonly firstEnd: number;
  readonly alternativeStart: number;
  readonly alternativeEnd: number;
  readonly end: number;
}

interface Located<S> {
  readonly media: PlaylistMedia<S>;
  /** Innermost first. */
  readonly turns: readonly Turn[];
}

/** Finds a position below the weight of the root in O(depth · log(items)). */
function locate<S>(root: Span<S>, position: number): Located<S> {
  const turns: Turn[] = [];
  let span = root;
  let base = 0;
  for (;;) {
    const { node, round } = span;
    if (node.kind === 'media') return { media: node, turns };
    if (round < Number.POSITIVE_INFINITY) base += Math.floor((position - base) / round) * round;
    const index = childAt(span.starts, position - base);
    const child = span.children[index]!;
    const start = base + span.starts[index]!;
    if (node.kind === 'switch') {
      turns.unshift({
        start: base,
        firstEnd: base + span.children.find(({ weight }) => weight > 0)!.weight,
        alternativeStart: start,
        alternativeEnd: start + child.weight,
        end: base + span.weight,
      });
    }
    span = child;
    base = start;
  }
}

/** Returns the last child that begins at or before an offset: an earlier one with the same start is empty. */
function childAt(starts: readonly number[], offset: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (starts[middle]! <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}

/**
 * The position of one player (or one broadcast) in a playlist. It begins at the first entry. `next`, `fail` and
 * `previous` are for changes that happen on their own; `skip` and `seek` for requests of the player, which {@link
 * PlaylistMedia.noSkip} may forbid.
 *
 * @public
 */
export class PlaylistCursor<S = string> {
  readonly #playlist: Playlist<S>;
  readonly #root: Span<S>;
  #position = 0;
  /** The furthest position that the player has learned of. */
  #furthest = 0;
  #ended: boolean;
  /** Entries that failed since the last one that played. */
  #failures = 0;

  /** Used by {@link Playlist.cursor}. */
  constructor(playlist: Playlist<S>, root: Span<S>) {
    this.#playlist = playlist;
    this.#root = root;
    this.#ended = root.weight === 0;
  }

  /** The entry to play; undefined if the playlist is over or empty. */
  get current(): PlaylistEntry<S> | undefined {
    return this.#ended ? undefined : this.#entry(this.#position);
  }

  /** Returns the entry before or after the current one, without moving. */
  peek(offset: -1 | 1): PlaylistEntry<S> | undefined {
    if (this.#ended) return offset === -1 && this.#root.weight > 0 ? this.#entry(this.#position) : undefined;
    const position = this.#step(this.#position, offset);
    return position === undefined ? undefined : this.#entry(position);
  }

  /** Moves to the next entry, or to the end, after the current one has been played. */
  next(): PlaylistEntry<S> | undefined {
    this.#failures = 0;
    if (!this.#ended) this.#go(this.#step(this.#position, 1));
    return this.current;
  }

  /**
   * Moves on because no source of the current entry could be played: to the next alternative, or else to the next
   * entry. The playlist is over if as many entries in a row fail as it has; otherwise a loop of missing files would
   * spin for ever.
   */
  fail(): PlaylistEntry<S> | undefined {
    if (this.#ended) return undefined;
    if (++this.#failures >= this.#playlist.entryCount) this.#ended = true;
    else this.#go(this.#nextAlternative() ?? this.#step(this.#position, 1));
    return this.current;
  }

  /**
   * Moves back, as when a stream played in reverse reaches its start; from the end to the last entry. Undefined at the
   * first.
   */
  previous(): PlaylistEntry<S> | undefined {
    if (this.#root.weight === 0) return undefined;
    if (!this.#ended) {
      const position = this.#step(this.#position, -1);
      if (position === undefined) return undefined;
      this.#go(position);
    }
    this.#ended = false;
    this.#failures = 0;
    return this.current;
  }

  /**
   * Handles pl-offset (MS-WMSP 2.2.1.4.20): 1 for the next entry, -1 for the previous, 0 for the entry itself, relative
   * to the entry that `from`, the playlist-seek-id, names; without `from`, to the current one. Returns undefined
   * without moving if there is no such entry or noSkip forbids it.
   */
  skip(offset: -1 | 0 | 1, from?: number): PlaylistEntry<S> | undefined {
    const base = from === undefined ? this.#position : this.#positionOf(from);
    if (base === undefined || this.#root.weight === 0) return undefined;
    const target = offset === 0 ? base : this.#step(base, offset);
    if (target === undefined || !this.#mayGo(base, target)) return undefined;
    this.#failures = 0;
    this.#go(target);
    return this.current;
  }

  /**
   * Moves to the entry with this identifier, for playlist-seek-id; returns undefined without moving in the same cases
   * as {@link skip}.
   */
  seek(id: number): PlaylistEntry<S> | undefined {
    return this.skip(0, id);
  }

  /** True if {@link skip} would move, for the features skipforward and skipbackward (MS-WMSP 2.2.1.4.8). */
  canSkip(offset: -1 | 1): boolean {
    if (this.#root.weight === 0) return false;
    const target = this.#step(this.#position, offset);
    return target !== undefined && this.#mayGo(this.#position, target);
  }

  #mayGo(base: number, target: number): boolean {
    if (!this.#playlist.hasNoSkip) return true;
    // Identifiers can be guessed, but that gets nobody past an advertisement.
    if (base > this.#furthest) return false;
    if (target > this.#furthest && locate(this.#root, base).media.noSkip) return false;
    return this.#ended || target <= this.#position || !locate(this.#root, this.#position).media.noSkip;
  }

  #go(position: number | undefined): void {
    this.#ended = position === undefined;
    if (position === undefined) return;
    this.#position = position;
    this.#furthest = Math.max(this.#furthest, position);
  }

  #step(from: number, offset: -1 | 1): number | undefined {
    const { turns } = locate(this.#root, from);
    return offset === 1 ? this.#after(from, turns) : this.#before(from, turns);
  }

  #after(from: number, turns: readonly Turn[]): number | undefined {
    let position = from + 1;
    for (const { alternativeEnd, end } of turns) if (position === alternativeEnd) position = end;
    return position < this.#root.weight ? position : undefined;
  }

  #before(from: number, turns: readonly Turn[]): number | undefined {
    let left = from;
    for (const { alternativeStart, start } of turns) {
      if (left !== alternativeStart) break;
      left = start;
    }
    if (left === 0) return undefined;
    // A switch entered in reverse also begins at its first alternative.
    let position = left - 1;
    for (;;) {
      const passed = locate(this.#root, position).turns.findLast(
        ({ start, alternativeStart, end }) => end <= left && alternativeStart !== start,
      );
      if (passed === undefined) return position;
      position = passed.firstEnd - 1;
    }
  }

  /**
   * Returns the start of the next alternative, unless the current one has been played in part and so was the right one.
   */
  #nextAlternative(): number | undefined {
    let left = this.#position;
    for (const { start, alternativeStart, alternativeEnd, end } of locate(this.#root, left).turns) {
      if (left !== alternativeStart) return undefined;
      if (alternativeEnd < end) return alternativeEnd;
      left = start;
    }
    return undefined;
  }

  #positionOf(id: number): number | undefined {
    if (!Number.isInteger(id) || id < 1 || id > MAX_ID) return undefined;
    // The identifiers of an endless playlist start over after the last one; this takes the nearest that the player can
    // know.
    const era = Math.floor(this.#furthest / MAX_ID) * MAX_ID;
    const position = era + id - 1;
    const known = position > this.#furthest && era > 0 ? position - MAX_ID : position;
    return known < this.#root.weight ? known : undefined;
  }

  #entry(position: number): PlaylistEntry<S> {
    const { media } = locate(this.#root, position);
    const duration = Math.min(
      media.dur ?? Number.POSITIVE_INFINITY,
      (media.end ?? Number.POSITIVE_INFINITY) - (media.begin ?? 0),
    );
    const [title, author, copyright] = ['title', 'author', 'copyright'].map((name) => media.clientData.get(name));
    return {
      ...media,
      id: (position % MAX_ID) + 1,
      ...(duration === Number.POSITIVE_INFINITY ? {} : { duration }),
      ...(title === undefined ? {} : { title }),
      ...(author === undefined ? {} : { author }),
      ...(copyright === undefined ? {} : { copyright }),
    };
  }
}
