import type { AsfHeader } from '../../asf/header.js';
import { type AsfItem, AsfReader } from '../../asf/reader.js';
import { WmError } from '../../errors.js';
import type { ResponseBody } from '../../http/response-body.js';

/** A body that is ASF without any framing, as web servers and some radio servers send it. */
export class PlainAsf {
  readonly header: AsfHeader;
  readonly #reader: AsfReader;
  readonly #items: readonly AsfItem[];
  readonly #body: ResponseBody;
  readonly #timeout: number;

  private constructor(
    header: AsfHeader,
    reader: AsfReader,
    items: readonly AsfItem[],
    body: ResponseBody,
    timeout: number,
  ) {
    this.header = header;
    this.#reader = reader;
    this.#items = items;
    this.#body = body;
    this.#timeout = timeout;
  }

  /**
   * Reads up to the end of the header.
   *
   * @param first the bytes of the body that were already read
   * @param timeout for the next bytes, in ms
   * @throws WmError WM_ASF_MALFORMED, WM_SERVER_GONE
   */
  static async open(first: Buffer, body: ResponseBody, timeout: number): Promise<PlainAsf> {
    const reader = new AsfReader();
    let items = reader.push(first);
    while (!reader.header) {
      const piece = await body.next(timeout);
      items = piece === undefined ? reader.end() : reader.push(piece);
    }
    return new PlainAsf(reader.header, reader, items, body, timeout);
  }

  /** The number of packets that were unreadable in whole or in part. */
  get damagedPackets(): number {
    return this.#reader.damagedPackets;
  }

  /**
   * Yields the header, the packets and the rest, once.
   *
   * @throws WmError WM_SERVER_GONE if a file ends before its last packet
   */
  async *items(): AsyncGenerator<AsfItem, void, undefined> {
    yield* this.#items;
    for (let piece = await this.#body.next(this.#timeout); piece; piece = await this.#body.next(this.#timeout)) {
      yield* this.#reader.push(piece);
    }
    yield* this.#reader.end();
    if (this.#reader.truncated && !this.header.broadcast) {
      throw new WmError('WM_SERVER_GONE', 'The server sent only a part of the file.');
    }
  }
}
