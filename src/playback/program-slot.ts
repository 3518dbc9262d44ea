import type { Broadcast, Release } from '../media/broadcast.js';
import { Refusal } from '../refusal.js';
import type { PlaylistPlace, Program } from './content.js';
import type { Entry } from './entry.js';

/** Opens a session's program again after it was given back. */
export type Reopen = (place: PlaylistPlace) => Promise<Program | undefined>;

/** The program of a session: open, or given back with its place kept. */
export class ProgramSlot {
  #program: Program | undefined;
  #reopen: Reopen | undefined;
  /** Where to open the program again after it was given back. */
  #place: PlaylistPlace | undefined;
  /** A step of the program in progress, which cannot be cancelled. */
  #moving: Promise<unknown> | undefined;
  /** The id of the furthest entry that the player was given. */
  #reached = 0;
  #held: { readonly broadcast: Broadcast; readonly release: Release } | undefined;

  /** Undefined before {@link open}, and after {@link giveBack}. */
  get program(): Program | undefined {
    return this.#program;
  }

  get current(): Entry | undefined {
    return this.#program?.current;
  }

  /** True while there is a program, open or given back. */
  get any(): boolean {
    return this.#program !== undefined || this.#place !== undefined;
  }

  /** Replaces the program. */
  open(program: Program, reopen: Reopen | undefined): void {
    this.close();
    this.#program = program;
    this.#reopen = reopen;
    this.#reached = program.current.id;
    this.keepLive();
  }

  /**
   * Returns the program, once a step in progress has ended or the program has been opened again; undefined if it is no
   * longer wanted by then.
   *
   * @throws Refusal gone
   */
  async reach(wanted: () => boolean): Promise<Program | undefined> {
    if (this.#moving) {
      await this.#moving.catch(() => undefined);
      if (!wanted()) return undefined;
    }
    if (this.#program) return this.#program;
    const program = this.#place && (await this.#reopen?.(this.#place));
    if (!wanted()) {
      program?.close();
      return undefined;
    }
    if (!program) throw new Refusal('gone', 'The content is no longer available.');
    this.#program = program;
    this.keepLive();
    return program;
  }

  /** Waits for a step of the program. */
  async move(step: Promise<Entry | undefined>): Promise<Entry | undefined> {
    this.#moving = step;
    try {
      return await step;
    } finally {
      if (this.#moving === step) this.#moving = undefined;
    }
  }

  /** Records that the player was given an entry. */
  given(entry: Entry): void {
    this.#reached = Math.max(this.#reached, entry.id);
    this.keepLive();
  }

  /** Keeps a source that runs only on demand running for a waiting player. */
  keepLive(): void {
    const entry = this.current;
    const broadcast = entry?.kind === 'live' ? entry.broadcast : undefined;
    if (this.#held?.broadcast === broadcast) return;
    const held = broadcast && { broadcast, release: broadcast.hold() };
    this.#held?.release();
    this.#held = held;
  }

  /** Closes the program and remembers the player's place in it. */
  giveBack(): void {
    const program = this.#program;
    if (!program) return;
    this.#place = { entry: program.current.id, reached: this.#reached };
    this.#program = undefined;
    program.close();
    this.keepLive();
  }

  close(): void {
    const program = this.#program;
    this.#program = undefined;
    this.#reopen = undefined;
    this.#place = undefined;
    this.#moving = undefined;
    program?.close();
    this.keepLive();
  }
}
