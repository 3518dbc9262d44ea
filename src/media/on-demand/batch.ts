import type { OnDemandItem } from './options.js';
import type { PageStretch } from './page.js';

/** The result of one read. */
export interface OnDemandBatch {
  /** In the order of sending; may be empty. */
  readonly items: readonly OnDemandItem[];
  /** Packets in a page that others may share, instead of `items`; only if the reader was told to leave a gap. */
  readonly stretch?: PageStretch;
  /** True if nothing follows. */
  readonly end: boolean;
  /** With `end`: playback in reverse reached the start of the file (NS_S_EOS_RECEDING, [MS-WMSP] 2.2.3.4). */
  readonly rewound?: boolean;
  /** True if more will come but is not there yet: ask again in a moment. */
  readonly idle?: boolean;
  /** Call at most once, when the items are no longer needed. Without a call they stay valid. */
  release?(): void;
}
