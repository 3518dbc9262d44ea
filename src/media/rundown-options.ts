import type { AsfSource } from './events.js';
import type { Clock } from './pacing.js';

/** One of the sources of a {@link Rundown}. @public */
export interface RundownEntry {
  /** For people, without passwords. */
  readonly name: string;
  /** True if it has a pace of its own, as devices and streams of other servers do. */
  readonly live: boolean;
  /** True if it may come back after it broke off or ended. */
  readonly returns?: boolean | undefined;
  /** True if it can be opened at any of its positions. */
  readonly seekable?: boolean | undefined;
  /** True if it may begin in the middle of a picture, so that a key frame has to be waited for. */
  readonly unclean?: boolean | undefined;
  /** @param position where to begin, in ms; not 0 only if it is seekable */
  open(position: number): AsfSource | Promise<AsfSource>;
}

/** @public */
export interface RundownOptions {
  readonly entries: readonly RundownEntry[];
  /** How often to play the entries: Infinity to start over for ever; default 1. */
  readonly rounds?: number | undefined;
  /** Seconds of media after which the rundown ends; default: all. */
  readonly duration?: number | undefined;
  /** Opens what is shown while the source is down, at any pace; default: nothing is sent meanwhile. */
  readonly filler?: (() => AsfSource | Promise<AsfSource>) | undefined;
  /** Opens what is shown during a pause; default: the filler. @param position of the entry, in ms */
  readonly still?: ((entry: RundownEntry, position: number) => AsfSource | Promise<AsfSource>) | undefined;
  /** Called if an entry cannot be opened, or breaks off. */
  readonly onSkipped?: ((error: unknown, entry: RundownEntry) => void) | undefined;
  /** Called when something else goes on the air. @param entry the current one, even if something else is shown */
  readonly onChange?: ((status: RundownStatus, entry: RundownEntry) => void) | undefined;
  /** How long a live source may be silent before the filler comes, in ms; default 2000. */
  readonly patience?: number | undefined;
  readonly clock?: Clock | undefined;
}

/** @public */
export interface RundownStatus {
  /** What is on the air: an entry, the still of a pause, the filler, or nothing yet. */
  readonly state: 'playing' | 'paused' | 'filler' | 'waiting' | 'ended';
  /** The current entry. */
  readonly input: string;
  /** Its place, from 1. */
  readonly number: number;
  /** Its position in seconds. */
  readonly position: number;
  readonly inputs: readonly string[];
  /** The entry that is being opened, if any. */
  readonly next?: string | undefined;
}
