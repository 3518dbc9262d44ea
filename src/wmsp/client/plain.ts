import type { AsfHeader } from '../../asf/header.js';
import { type AsfItem, AsfReader } from '../../asf/reader.js';
import type { ResponseBody } from '../../http/response-body.js';

/** A body that is ASF without any framing, as web servers and some radio servers send it. */
export class PlainAsf {
  readonly header: AsfHeader;
  /** True if the response says where it ends, so that its end is no broken connection. */
  readonly delimited: boolean;
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
    delimited: boolean,
  ) {
    this.header = header;
    this.delimited = delimited;
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
   * @param delimited see {@link PlainAsf.delimited}
   * @throws WmError WM_ASF_MALFORMED, WM_SERVER_GONE
   */
  static async open(first: Buffer, body: ResponseBody, timeout: number, delimited: boolean): Promise<PlainAsf> {
    const reader = new AsfReader();
    let items = reader.push(first);
    while (!reader.header) {
      const piece = await body.next(timeout);
      items = piece === undefined ? reader.end() : reader.push(piece);
    }
    return new PlainAsf(reader.header, reader, items, body, timeout, delimited);
  }

  /** The number of packets that were unreadable in whole or in part. */
  get damagedPackets(): number {
    return this.#reader.damagedPackets;
  }

  /** True if it ended before the last packet that a file's header promises. */
  get truncated(): boolean {
    return this.#reader.truncated && !this.header.broadcast;
  }

  /** Yields the header, the packets and the rest, once. @throws WmError as the body */
  async *items(): AsyncGenerator<AsfItem, void, undefined> {
    yield* this.#items;
    for (let piece = await this.#body.next(this.#timeout); piece; piece = await this.#body.next(this.#timeout)) {
      yield* this.#reader.push(piece);
    }
    yield* this.#reader.end();
  }
}
