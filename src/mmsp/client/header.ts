import { MAX_HEADER_SIZE } from '../../asf/header.js';
import { MmspError } from '../messages/base.js';
import { type DataMessage, isLastHeaderPart } from '../messages/data.js';

/** Bytes of the Data Object that follow the Header Object (MS-MMSP 2.2.2). */
const DATA_OBJECT_START = 50;
const MAX_PARTS = 65_536;

/** Collects the Data packets of an ASF file header, which may arrive in any order and repeatedly (MS-MMSP 3.1.5.12). */
export class HeaderParts {
  /** playIncarnation of the packets, low 8 bits. */
  readonly incarnation: number;
  readonly #parts = new Map<number, Buffer>();
  #size = 0;
  #last: number | undefined;

  constructor(incarnation: number) {
    this.incarnation = incarnation;
  }

  /**
   * @returns the header, once all of it is there
   * @throws MmspError if it becomes larger than an ASF header can be
   */
  add({ location, flags, payload }: DataMessage): Buffer | undefined {
    if (this.#parts.has(location) || location >= MAX_PARTS) return undefined;
    this.#parts.set(location, Buffer.from(payload));
    this.#size += payload.length;
    if (this.#size > MAX_HEADER_SIZE + DATA_OBJECT_START) {
      throw new MmspError(`The server's ASF header has more than ${MAX_HEADER_SIZE} bytes.`);
    }
    if (isLastHeaderPart(flags)) this.#last = location;
    if (this.#last === undefined || this.#parts.size < this.#last + 1) return undefined;
    const parts = Array.from({ length: this.#last + 1 }, (_, index) => this.#parts.get(index));
    return parts.includes(undefined) ? undefined : Buffer.concat(parts as Buffer[]);
  }
}
