/** Packets in one piece of memory, which is made when one of them is noted. */
const PAGE = 4096;
/** The most of such pieces: 16 million packets. */
const MAX_PAGES = 4096;

/**
 * Remembers which packets of a file go to players as they are, so that each is parsed once, and not once for each
 * player. Takes one byte for a packet.
 */
export class WholePackets {
  readonly #pages = new Map<number, Uint8Array>();

  /** Returns where in a packet its send time is, in bytes from its start; 0 for a packet that was not noted. */
  sendTimeStart(location: number): number {
    return this.#pages.get(Math.floor(location / PAGE))?.[location % PAGE] ?? 0;
  }

  /** Notes a packet that goes to players as it is. @param sendTimeStart in bytes from its start, above 0 */
  note(location: number, sendTimeStart: number): void {
    if (sendTimeStart > 255) return;
    const index = Math.floor(location / PAGE);
    let page = this.#pages.get(index);
    if (!page) {
      if (this.#pages.size >= MAX_PAGES) return;
      page = new Uint8Array(PAGE);
      this.#pages.set(index, page);
    }
    page[location % PAGE] = sendTimeStart;
  }
}
