import type { ThinningLevel } from '../../asf/filter.js';

/** Where to begin, as the tokens of a Play request say it ([MS-WMSP] 3.2.5.6). Values beyond the file are allowed. */
export type StartPosition =
  | { readonly kind: 'start' }
  /** Milliseconds of media time: presentation time without the preroll. */
  | { readonly kind: 'time'; readonly milliseconds: number }
  /** Counted from 0. */
  | { readonly kind: 'packet'; readonly packet: number }
  /**
   * Bytes into the ASF file that starts with the header as it is sent; VLC does not count the header, so the one of the
   * two readings that is the start of a packet holds.
   */
  | { readonly kind: 'offset'; readonly bytes: number };

/** Which streams a player wants. */
export interface StreamChoice {
  /** @param stream 1 to 127; streams that the header does not declare are asked for too */
  level(stream: number): ThinningLevel;
}

export interface ReaderOptions {
  /** The packet to begin with, as `OnDemandFile.locate` gives it. */
  readonly from: number;
  /**
   * The player named the packet and gets all that stands in the file from there on, also the rest of objects that began
   * before it, as it does when it goes on after a pause ([MS-WMSP] 4.7). By default each stream begins with a whole object,
   * one of video with a key frame.
   */
  readonly exact?: boolean;
  readonly choice: StreamChoice;
  /** 1 plays everything; any other rate plays the key frames of the video alone, a negative one backwards. Never 0. */
  readonly rate: number;
  /** Milliseconds of media behind {@link start}; undefined and 0 play to the end, as does what is longer than the file. */
  readonly maxDuration?: number;
  /** What `maxDuration` counts from, ms of media time; by default the time at which the first packet begins. */
  readonly start?: number;
  /** Whether packets are sent as short as they can be, or at the packet size of the header. */
  readonly padding: 'cut' | 'kept';
}

/** Asked by a reader for each packet, so that it gives what is due and no more. */
export interface DueCheck {
  /** Milliseconds of media that are about due: how much is worth reading. */
  readonly span: number;
  /**
   * Whether the next packet may be given; asked in the order of sending, and again for the same packet when it was not.
   * @param sendTime ms modulo 2^32
   */
  due(sendTime: number): boolean;
  /** The packet is given. @param size bytes that are left of it, 0 when nothing is */
  given(size: number): void;
}

/** A packet ready for the wire. */
export interface OnDemandItem {
  /** The number of the packet in the file, counted from 0: LocationId ([MS-WMSP] 2.2.3.1.2). */
  readonly location: number;
  /** Valid until the batch is released. */
  readonly bytes: Buffer;
  /** Milliseconds modulo 2^32, as in the file. */
  readonly sendTime: number;
}

/** What one read gives. */
export interface OnDemandBatch {
  /** In the order in which they are to be sent; may be empty. */
  readonly items: readonly OnDemandItem[];
  /** Nothing follows. */
  readonly end: boolean;
  /** With `end`: the start of the file was reached backwards (NS_S_EOS_RECEDING, [MS-WMSP] 2.2.3.4). */
  readonly rewound?: boolean;
  /** More will come, but is not there: to be asked for again in a moment. */
  readonly idle?: boolean;
  /** The items are not needed any more; at most once. Without it they stay as they are. */
  release?(): void;
}

/** The numbers of the X-StartupProfile header ([MS-WMSP] 2.2.1.12); the lists have the same length. */
export interface StartupProfile {
  /** Tenths of the average rate: 15 is 1.5 times. */
  readonly rate: readonly number[];
  /** By rate: bytes that a player must have ahead so that it never waits. */
  readonly maxBytes: readonly number[];
  /** By rate: when it needs them, ms from `startTime`. */
  readonly time: readonly number[];
  /** The lowest presentation time, ms, preroll included. */
  readonly startTime: number;
  /** Milliseconds of media that this holds for. */
  readonly lastTime: number;
  /** When `maxDiffSndTime` occurs, ms from `startTime`. */
  readonly maxDiffTime: number;
  /** The largest lag of the audio behind the video in ms; negative when it is always the video that lags. */
  readonly maxDiffSndTime: number;
  /** By rate: the average of the media, bytes per second. */
  readonly byteRate: readonly number[];
}

export interface StartupProfileOptions {
  readonly choice: StreamChoice;
  /** Milliseconds of media that are sent faster than real time (AccelDuration). */
  readonly duration: number;
}
