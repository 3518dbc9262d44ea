import type { Field } from '../../framing/text-head.js';

/** What a request is answered with, besides the fields of every response. */
export interface Reply {
  readonly status: number;
  readonly fields?: readonly Field[];
  readonly body?: Buffer;
  /** Parts of the body that are written by themselves, each in a segment of its own, after what precedes them. */
  readonly apart?: readonly Buffer[];
  /** True if the response lists what the server supports. */
  readonly supported?: boolean;
  /** True if the connection ends after it. */
  readonly last?: boolean;
}
