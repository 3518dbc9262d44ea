/**
 * Counts what was received, for the logs of every protocol: since the last start or playlist entry ([MS-WMLOG] 2.5,
 * 2.6), for the entry in total (2.7), and for the session (2.1.2).
 */
export class Received {
  #packets = 0;
  #bytes = 0;
  #firstSendTime = 0;
  #lastSendTime = 0;
  #firstAt = 0;
  #lastAt = 0;
  // For earlier starts in the session, without pauses: bytes, and ms.
  #bytesBefore = 0;
  #receivingBefore = 0;
  // For earlier starts in the entry.
  #renderedBefore = 0;
  #renderedFrom: number | undefined;

  /** The number of packets since the last restart. */
  get packets(): number {
    return this.#packets;
  }

  /** The number of their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The send time of the first of them, in ms; 0 if there are no packets. */
  get firstSendTime(): number {
    return this.#packets === 0 ? 0 : this.#firstSendTime;
  }

  /** In ms of content since the last restart. */
  get duration(): number {
    return this.#packets === 0 ? 0 : Math.abs((this.#lastSendTime - this.#firstSendTime) | 0);
  }

  /** The time between the first and the last packet, in ms. */
  get receiving(): number {
    return this.#packets === 0 ? 0 : this.#lastAt - this.#firstAt;
  }

  /** The entry over all restarts: where it began, and how much of it was received, in ms of content. */
  get entry(): { readonly start: number; readonly duration: number } {
    return { start: this.#renderedFrom ?? 0, duration: this.#renderedBefore + this.duration };
  }

  /**
   * In bits per second since the session began, without its pauses ([MS-WMLOG] 2.1.2); undefined before the first
   * packets.
   */
  get averageBandwidth(): number | undefined {
    const milliseconds = this.#receivingBefore + this.receiving;
    return milliseconds <= 0 ? undefined : ((this.#bytesBefore + this.#bytes) * 8000) / milliseconds;
  }

  /** Begins another session, whose server knows nothing of what was received before. */
  newSession(): void {
    this.restart('same');
    this.#bytesBefore = 0;
    this.#receivingBefore = 0;
  }

  /** Restarts the counts from 0. @param entry for a start in the `same` playlist entry or in `another` one */
  restart(entry: 'same' | 'another'): void {
    this.#renderedBefore = entry === 'same' ? this.#renderedBefore + this.duration : 0;
    if (entry === 'another') this.#renderedFrom = undefined;
    this.#bytesBefore += this.#bytes;
    this.#receivingBefore += this.receiving;
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** @param size in bytes @param sendTime in ms @param now in ms of a monotonic clock */
  packet(size: number, sendTime: number, now: number): void {
    if (this.#packets === 0) {
      this.#renderedFrom ??= sendTime;
      this.#firstSendTime = sendTime;
      this.#firstAt = now;
    }
    this.#packets++;
    this.#bytes += size;
    this.#lastSendTime = sendTime;
    this.#lastAt = now;
  }
}
