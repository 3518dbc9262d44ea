/** What a server counts of its players since its start. */
export class PlayerTotals {
  readonly #started = new Map<string, number>();
  #peak = 0;

  /** Counts a player that has started. @param players how many there are now */
  started(protocol: string, players: number): void {
    this.#started.set(protocol, (this.#started.get(protocol) ?? 0) + 1);
    this.#peak = Math.max(this.#peak, players);
  }

  /** The players that have started, by protocol. */
  get byProtocol(): ReadonlyMap<string, number> {
    return this.#started;
  }

  /** The most players at a time. */
  get peak(): number {
    return this.#peak;
  }
}
