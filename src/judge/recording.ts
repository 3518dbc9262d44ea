import { steadyNow } from '../clock.js';

/** The two sides of a connection: the one that opened it is the client. */
export type Side = 'client' | 'server';

/** Bytes that one side sent, as they came. */
export interface Chunk {
  /** In ms of a clock that only goes forward. */
  readonly at: number;
  readonly from: Side;
  readonly bytes: Buffer;
}

/** Everything that was seen of one connection. */
export interface ConnectionRecord {
  /** Counted from 1. */
  readonly number: number;
  /** What it was for; empty if the other side opened it. */
  readonly label: string;
  readonly openedAt: number;
  readonly chunks: readonly Chunk[];
  /** How it ended; undefined while it is open. `reset`: not by a proper end. */
  readonly end?: { readonly at: number; readonly by: Side; readonly reset: boolean } | undefined;
}

/** More of a session is not kept, in bytes: it has long shown what it is. */
const MAX_BYTES = 64 * 1024 * 1024;

/** Writes down one connection. */
export class ConnectionRecorder {
  readonly #recorder: Recorder;
  readonly #record: { -readonly [K in keyof ConnectionRecord]: ConnectionRecord[K] } & { chunks: Chunk[] };

  constructor(recorder: Recorder, number: number, label: string) {
    this.#recorder = recorder;
    this.#record = { number, label, openedAt: steadyNow(), chunks: [] };
  }

  get record(): ConnectionRecord {
    return this.#record;
  }

  /** Adds bytes, which must not change afterwards. */
  add(from: Side, bytes: Buffer): void {
    if (this.#recorder.takes(bytes.length)) this.#record.chunks.push({ at: steadyNow(), from, bytes });
  }

  /** Notes the end; only the first one counts. */
  ended(by: Side, reset: boolean): void {
    this.#record.end ??= { at: steadyNow(), by, reset };
  }
}

/** Writes down all connections of a session with the program that is judged. */
export class Recorder {
  readonly #connections: ConnectionRecorder[] = [];
  #left = MAX_BYTES;
  #isFull = false;

  /** True if more came than was kept. */
  get full(): boolean {
    return this.#isFull;
  }

  get connections(): readonly ConnectionRecord[] {
    return this.#connections.map(({ record }) => record);
  }

  open(label = ''): ConnectionRecorder {
    const connection = new ConnectionRecorder(this, this.#connections.length + 1, label);
    this.#connections.push(connection);
    return connection;
  }

  /** Takes room for bytes. @returns false if they do not fit */
  takes(bytes: number): boolean {
    this.#isFull ||= bytes > this.#left;
    if (!this.#isFull) this.#left -= bytes;
    return !this.#isFull;
  }
}
