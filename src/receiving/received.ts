/**
 * What was received, for the logs of every protocol: since the last start or playlist entry ([MS-WMLOG] 2.5, 2.6), of the entry in
 * all (2.7), and of the session (2.1.2).
 */
export class Received {
  #packets = 0;
  #bytes = 0;
  #firstSendTime = 0;
  #lastSendTime = 0;
  #firstAt = 0;
  #lastAt = 0;
  // Of earlier starts in the session, pauses left out: bytes, and ms.
  #bytesBefore = 0;
  #receivingBefore = 0;
  // Of earlier starts in the entry.
  #renderedBefore = 0;
  #renderedFrom: number | undefined;

  /** Packets since the last restart. */
  get packets(): number {
    return this.#packets;
  }

  /** Their bytes. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Send time of the first of them, ms; 0 when there is none. */
  get firstSendTime(): number {
    return this.#packets === 0 ? 0 : this.#firstSendTime;
  }

  /** Milliseconds of content since the last restart. */
  get duration(): number {
    return this.#packets === 0 ? 0 : Math.abs((this.#lastSendTime - this.#firstSendTime) | 0);
  }

  /** Milliseconds in which it came. */
  get receiving(): number {
    return this.#packets === 0 ? 0 : this.#lastAt - this.#firstAt;
  }

  /** The entry over all restarts: where it began, and how much of it came, in ms of content. */
  get entry(): { readonly start: number; readonly duration: number } {
    return { start: this.#renderedFrom ?? 0, duration: this.#renderedBefore + this.duration };
  }

  /** Bits per second since the session began, without the pauses in it ([MS-WMLOG] 2.1.2); undefined while nothing has come. */
  get averageBandwidth(): number | undefined {
    const milliseconds = this.#receivingBefore + this.receiving;
    return milliseconds <= 0 ? undefined : ((this.#bytesBefore + this.#bytes) * 8000) / milliseconds;
  }

  /** The server knows nothing of what came before: another session begins. */
  newSession(): void {
    this.restart('same');
    this.#bytesBefore = 0;
    this.#receivingBefore = 0;
  }

  /** Counts from 0 again. @param entry for a start in the `same` playlist entry or in `another` one */
  restart(entry: 'same' | 'another'): void {
    this.#renderedBefore = entry === 'same' ? this.#renderedBefore + this.duration : 0;
    if (entry === 'another') this.#renderedFrom = undefined;
    this.#bytesBefore += this.#bytes;
    this.#receivingBefore += this.receiving;
    this.#packets = 0;
    this.#bytes = 0;
  }

  /** @param size bytes @param sendTime ms @param now ms of a clock that only goes forward */
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
