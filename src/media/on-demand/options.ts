import type { ThinningLevel } from '../../asf/filter.js';

/** Where to begin, as in the tokens of a Play request ([MS-WMSP] 3.2.5.6). Values beyond the file are allowed. */
export type StartPosition =
  | { readonly kind: 'start' }
  /** Milliseconds of media time: presentation time without the preroll. */
  | { readonly kind: 'time'; readonly milliseconds: number }
  /** Counted from 0. */
  | { readonly kind: 'packet'; readonly packet: number }
  /**
   * Bytes into the ASF file that begins with the header as it is sent. Some players do not count the header, so the
   * reading that gives the start of a packet is used.
   */
  | { readonly kind: 'offset'; readonly bytes: number };

/** The streams that a player wants. */
export interface StreamChoice {
  /** @param stream 1 to 127; may be a stream that the header does not declare */
  level(stream: number): ThinningLevel;
}

/** Where a reader begins and what it reads. */
export interface ReaderOptions {
  /** The packet to begin with, from `OnDemandFile.locate`. */
  readonly from: number;
  /**
   * True if the player named the packet and gets everything in the file from there on, even the rest of objects that
   * began earlier, as when it resumes after a pause ([MS-WMSP] 4.7). By default each stream begins with a whole object,
   * video with a key frame.
   */
  readonly exact?: boolean;
  readonly choice: StreamChoice;
  /** 1 plays everything. Any other rate plays only the key frames of the video, a negative one in reverse. Never 0. */
  readonly rate: number;
  /** Milliseconds of media after {@link start}; undefined, 0 and values beyond the file play to the end. */
  readonly maxDuration?: number;
  /** What `maxDuration` counts from, in ms of media time; default the time at which the first packet begins. */
  readonly start?: number;
  /** `cut` sends packets as short as possible, `kept` at the packet size of the header. */
  readonly padding: 'cut' | 'kept';
}

/** Asked by a reader for each packet, so that it returns only packets that are due. */
export interface DueCheck {
  /** Milliseconds of media that are about due: how much is worth reading. */
  readonly span: number;
  /**
   * Returns true if the next packet may be sent. Called in the order of sending, and again for the same packet after
   * false.
   *
   * @param sendTime ms modulo 2^32
   */
  due(sendTime: number): boolean;
  /** The packet is sent. @param size bytes left of it after filtering, 0 if none */
  given(size: number): void;
}

/** A packet ready for the wire. */
export interface OnDemandItem {
  /** The number of the packet in the file, from 0: LocationId ([MS-WMSP] 2.2.3.1.2). */
  readonly location: number;
  /** Valid until the batch is released. */
  readonly bytes: Buffer;
  /** In ms modulo 2^32, as in the file. */
  readonly sendTime: number;
}

/** The numbers of the X-StartupProfile header ([MS-WMSP] 2.2.1.12); the lists have the same length. */
export interface StartupProfile {
  /** Tenths of the average rate: 15 is 1.5 times. */
  readonly rate: readonly number[];
  /** By rate: bytes that a player must have buffered so that it never stalls. */
  readonly maxBytes: readonly number[];
  /** By rate: when it needs them, in ms from `startTime`. */
  readonly time: readonly number[];
  /** The lowest presentation time in ms, preroll included. */
  readonly startTime: number;
  /** Milliseconds of media that this covers. */
  readonly lastTime: number;
  /** When `maxDiffSndTime` occurs, in ms from `startTime`. */
  readonly maxDiffTime: number;
  /** The largest lag of the audio after the video in ms; negative if it is always the video that lags. */
  readonly maxDiffSndTime: number;
  /** By rate: the average rate of the media in bytes per second. */
  readonly byteRate: readonly number[];
}

/** The streams and the length of an accelerated start. */
export interface StartupProfileOptions {
  readonly choice: StreamChoice;
  /** Milliseconds of media that are sent faster than real time (AccelDuration). */
  readonly duration: number;
}
