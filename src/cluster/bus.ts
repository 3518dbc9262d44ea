/** Why a bus could not do something. */
export type BusErrorKind =
  /** Somebody else has changed the key meanwhile. */
  | 'conflict'
  /** Nobody listens at the subject: its node has no connection. */
  | 'no-responders'
  /** No answer came in time. */
  | 'silent'
  /** There is no connection, or the store has no leader at the moment. */
  | 'unavailable';

/** A failure of a bus, which its user handles. */
export class BusError extends Error {
  readonly kind: BusErrorKind;

  constructor(kind: BusErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'BusError';
    this.kind = kind;
  }
}

/** A message of a subject. */
export interface BusMessage {
  readonly subject: string;
  /** Shares memory with what was received; valid during the call only. */
  readonly data: Uint8Array;
  /** Answers a request; undefined for any other message. */
  readonly respond: ((data: Uint8Array) => void) | undefined;
}

/** A key that was written, or removed. */
export interface BusChange {
  readonly key: string;
  /** Undefined if the key was removed. */
  readonly value: Buffer | undefined;
  /** Grows with every change of any key. */
  readonly revision: number;
}

/**
 * What a cluster needs of the system that connects its hosts: subjects, whose messages may be lost, and keys, of which
 * all hosts see the same changes in the same order.
 */
export interface ClusterBus {
  /** True while it is connected. */
  readonly connected: boolean;
  /** The largest message in bytes. */
  readonly maxPayload: number;
  /** Calls back when the connection is lost or comes back. @returns a function that ends it */
  onConnection(listener: (connected: boolean) => void): () => void;
  /** Sends a message. @returns false if it was left out, because there is no connection or it is congested */
  publish(subject: string, data: Uint8Array): boolean;
  /** @returns a function that ends the subscription */
  subscribe(subject: string, take: (message: BusMessage) => void): () => void;
  /** @param timeout in ms @throws BusError `no-responders`, `silent` or `unavailable` */
  request(subject: string, data: Uint8Array, timeout: number): Promise<Buffer>;
  /** Writes a key that must not exist. @returns the revision @throws BusError `conflict` or `unavailable` */
  create(key: string, value: Uint8Array): Promise<number>;
  /** Writes a key that must have this revision. @returns the new one @throws BusError as {@link create} */
  update(key: string, value: Uint8Array, revision: number): Promise<number>;
  /** Writes a key, whatever it has. @returns the revision @throws BusError `unavailable` */
  put(key: string, value: Uint8Array): Promise<number>;
  /** Removes a key that must have this revision. @throws BusError as {@link create} */
  remove(key: string, revision: number): Promise<void>;
  /** Reads a key. @throws BusError `unavailable` */
  get(key: string): Promise<BusChange | undefined>;
  /**
   * Watches all keys: first what they are, then every change in order. Begins once there is a connection.
   *
   * @returns a function that ends it
   */
  watch(watcher: BusWatcher): () => void;
  /** Connects to another server, if there is one. */
  move(): void;
  /** True if servers that this host cannot reach may decide about the keys without it. */
  othersMayDecide(): Promise<boolean>;
  close(): Promise<void>;
}

/** Sees the keys of a bus. */
export interface BusWatcher {
  /** All that was seen before counts no more: the keys are listed again. */
  restart(): void;
  change(change: BusChange): void;
  /** All keys that exist were listed. */
  ready(): void;
}
