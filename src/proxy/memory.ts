/** The packets of content that no disk keeps, as far as they fit: the newest ones. */
export class PacketMemory {
  readonly #maxBytes: number;
  /** By number, in the order of their arrival. */
  readonly #packets = new Map<number, Buffer>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** True if the oldest packet has to go before another one comes. */
  get full(): boolean {
    return this.#bytes >= this.#maxBytes;
  }

  has(number: number): boolean {
    return this.#packets.has(number);
  }

  put(number: number, packet: Buffer): void {
    this.#drop(number);
    this.#packets.set(number, packet);
    this.#bytes += packet.length;
    for (const [oldest] of this.#packets) {
      if (this.#bytes <= this.#maxBytes) break;
      this.#drop(oldest);
    }
  }

  /** Returns packets that follow one another, from a number on, at most so many. */
  run(from: number, count: number): Buffer[] {
    const packets: Buffer[] = [];
    for (let at = from; at < from + count; at++) {
      const packet = this.#packets.get(at);
      if (!packet) break;
      packets.push(packet);
    }
    return packets;
  }

  /** Returns how many packets there are in a row, at most so many. */
  count(from: number, most: number): number {
    let count = 0;
    while (count < most && this.#packets.has(from + count)) count++;
    return count;
  }

  #drop(number: number): void {
    const packet = this.#packets.get(number);
    if (!packet) return;
    this.#packets.delete(number);
    this.#bytes -= packet.length;
  }
}
