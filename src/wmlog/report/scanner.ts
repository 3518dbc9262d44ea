/** The values of a line that is being read: views of a buffer, valid until the next line. */
export interface ScannedLine {
  readonly bytes: Buffer;
  /** The offsets of the first byte of each value, and after its last one; as many as `count`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly count: number;
}

/** Gets what a {@link LineScanner} finds. */
export interface LineListener {
  line(line: ScannedLine): void;
  /** A directive, such as `#Fields: date time`. */
  directive(text: string): void;
  /** A line that is too long, or has too many values. */
  malformed(): void;
}

/** The number of values of a line, twice as many as servers write. */
const MAX_VALUES = 128;
/** The length of a line in bytes. */
const MAX_LINE = 128 * 1024;
const [LF, CR, BLANK, TAB, HASH] = [0x0a, 0x0d, 0x20, 0x09, 0x23];

/**
 * Divides the bytes of log files into lines and values without making strings of them. Lines end in LF or CR LF; values
 * are separated by blanks or tabs.
 */
export class LineScanner {
  readonly #listener: LineListener;
  readonly #starts = new Int32Array(MAX_VALUES);
  readonly #ends = new Int32Array(MAX_VALUES);
  /** The beginning of a line whose end has not come yet. */
  #rest: Buffer = Buffer.alloc(0);
  /** True while the rest of a line that is too long is left out. */
  #skipping = false;
  #atStart = true;

  constructor(listener: LineListener) {
    this.#listener = listener;
  }

  /** Takes the next bytes of a file. */
  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    if (this.#atStart && bytes.length >= 3) {
      this.#atStart = false;
      if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) at = 3;
    }
    at = this.#lines(bytes, at);
    this.#rest = Buffer.from(bytes.subarray(at));
    if (this.#rest.length <= MAX_LINE) return;
    if (!this.#skipping) this.#listener.malformed();
    this.#skipping = true;
    this.#rest = Buffer.alloc(0);
  }

  /** Ends a file: its last line may lack a line end. */
  end(): void {
    if (this.#rest.length > 0 || this.#skipping) this.#lines(Buffer.concat([this.#rest, Buffer.from([LF])]), 0);
    this.#rest = Buffer.alloc(0);
    this.#skipping = false;
    this.#atStart = true;
  }

  /** Reads all whole lines. @returns the offset of the incomplete line after them */
  #lines(bytes: Buffer, from: number): number {
    const starts = this.#starts;
    const ends = this.#ends;
    const { length } = bytes;
    let lineStart = from;
    let count = 0;
    /** The start of the current value; -1 between values. */
    let valueStart = -1;
    for (let at = from; at < length; at++) {
      const byte = bytes[at]!;
      if (byte > BLANK) {
        if (valueStart < 0) valueStart = at;
        continue;
      }
      if (byte !== BLANK && byte !== LF && byte !== CR && byte !== TAB) {
        if (valueStart < 0) valueStart = at;
        continue;
      }
      if (valueStart >= 0) {
        if (count < MAX_VALUES) {
          starts[count] = valueStart;
          ends[count] = at;
        }
        count++;
        valueStart = -1;
      }
      if (byte !== LF) continue;
      this.#line(bytes, count, lineStart, at);
      lineStart = at + 1;
      count = 0;
    }
    return lineStart;
  }

  #line(bytes: Buffer, count: number, from: number, to: number): void {
    if (this.#skipping) {
      this.#skipping = false;
      return;
    }
    if (count === 0) return;
    const first = this.#starts[0]!;
    if (bytes[first] === HASH)
      this.#listener.directive(bytes.toString('latin1', first, Math.min(to, from + 8_192)).trimEnd());
    else if (count > MAX_VALUES) this.#listener.malformed();
    else this.#listener.line({ bytes, starts: this.#starts, ends: this.#ends, count });
  }
}
