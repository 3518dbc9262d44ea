/** The limits that a lane keeps for its players. @public */
export interface LaneLimits {
  /** Bytes that may wait for a player before packets are dropped for it. */
  readonly backlog: number;
  /** Longest time in ms that a player may lag before it is disconnected. */
  readonly patience: number;
  /** Longest time in ms that a player waits for a clean start before it begins without one. */
  readonly cleanStart: number;
}

/** The counts of one delivery. @public */
export interface Delivery {
  bytes: number;
  /** Writes to players: batches of what has come since the last one. */
  sends: number;
  /** Of these, those with a packet that was due more than 500 ms before. */
  lateSends: number;
  skippedPackets: number;
  droppedPlayers: number;
  /** Players that began without a key frame, because there was none. */
  uncleanStarts: number;
}

/** Returns totals of zero. */
export function newTotals(): Delivery {
  return { bytes: 0, sends: 0, lateSends: 0, skippedPackets: 0, droppedPlayers: 0, uncleanStarts: 0 };
}

/** The context of a delivery. @public */
export interface Moment {
  readonly limits: LaneLimits;
  /** The broadcast's clock in ms. */
  readonly now: number;
  readonly totals: Delivery;
  /** True if nothing more follows under the header, so that players get what was held back for them. */
  readonly last?: boolean;
}
