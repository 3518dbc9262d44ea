import type { AsfHeader } from '../asf/header.js';
import { WmError } from '../errors.js';

/** Where an origin is asked to begin. */
export type FetchStart =
  /** @property packet its number, from 0 */
  | { readonly packet: number }
  /** @property time in ms of media; the origin chooses the packet */
  | { readonly time: number };

/** An ASF data packet as the origin sent it, padding cut or not. */
export interface FetchedPacket {
  /** Its number in the content, from 0. */
  readonly location: number;
  readonly bytes: Buffer;
}

/** Content of another server that can be read from anywhere. */
export interface OriginContent {
  readonly header: AsfHeader;
  /** True if it can begin elsewhere than at its start. */
  readonly seekable: boolean;
  /**
   * Yields packets in order, those that arrive together in one array, up to the end.
   *
   * @throws WmError as a client of the origin; {@link ContentChanged} if it is other content now
   */
  fetch(start: FetchStart, signal: AbortSignal): AsyncGenerator<readonly FetchedPacket[], void, undefined>;
  /** Ends its connections. */
  close(): void;
}

/** The origin has other content now. */
export class ContentChanged extends WmError {
  constructor(url: string) {
    super('WM_NO_INPUT', `${url} has changed at its origin.`);
    this.name = 'ContentChanged';
  }
}

/** A request to the origin, and what has come of it. */
export interface Fetch {
  /** The next packet that it brings; undefined until the origin says where it begins. */
  next: number | undefined;
  /** Packets so far. */
  brought: number;
  /** Packets that were there already, or came too late. */
  repeated: number;
  readonly abort: AbortController;
  readonly began: Promise<number>;
  readonly begin: (packet: number) => void;
  readonly fail: (error: unknown) => void;
}

/** Returns a fetch that has not begun. */
export function newFetch(start: FetchStart): Fetch {
  let begin = (_: number) => {};
  let fail = (_: unknown) => {};
  const began = new Promise<number>((resolve, reject) => {
    [begin, fail] = [resolve, reject];
  });
  // Not everybody asks where it begins.
  began.catch(() => undefined);
  const next = 'packet' in start ? start.packet : undefined;
  return { next, brought: 0, repeated: 0, abort: new AbortController(), began, begin, fail };
}
