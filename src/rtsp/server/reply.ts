import type { Field } from '../../framing/text-head.js';

/** What a request is answered with, besides the fields of every response. */
export interface Reply {
  readonly status: number;
  readonly fields?: readonly Field[];
  readonly body?: Buffer;
  /** True if the response lists what the server supports. */
  readonly supported?: boolean;
  /** True if the connection ends after it. */
  readonly last?: boolean;
}
