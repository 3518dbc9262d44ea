/**
 * What a frame is to faults: a data packet, the header of a stream or a part of it, its end, what announces another
 * stream, or anything else, which they leave alone.
 */
export type FrameKind = 'data' | 'header' | 'end' | 'change' | 'other';

/**
 * How a protocol writes its frames, as far as faults change them. Nothing that is given is changed; copies are
 * returned. A codec may remember what went by, so each connection has one of its own.
 */
export interface FrameCodec {
  kind(frame: Buffer): FrameKind;
  /** Returns the bytes of the data packet in a frame of that kind. */
  packet(frame: Buffer): Buffer;
  /** Returns a data frame with another packet; its lengths are right. */
  withPacket(frame: Buffer, packet: Buffer): Buffer;
  /** Returns a data frame whose length is another one by `lie` bytes, which is not 0; its bytes stay. */
  withLength(frame: Buffer, lie: number): Buffer;
  /** Returns a data frame with other flags; undefined if it has none. @param change 1 to 255 */
  withFlags(frame: Buffer, change: number): Buffer | undefined;
  /** Returns a data frame with another number; undefined if it has none. @param change 1 to 65535 */
  withLocation(frame: Buffer, change: number): Buffer | undefined;
  /** Returns a header frame without its last bytes; its lengths are right. */
  withoutTail(frame: Buffer, bytes: number): Buffer;
  /** Returns a frame that announces another stream, which does not follow. */
  change(): Buffer;
  /** Called with every frame in the order in which they go out; returns it with the number that it has to have. */
  numbered?(frame: Buffer): Buffer;
}

/** A protocol with frames on its connections. */
export interface FramedConnection extends FrameCodec {
  /** Returns the size of the frame that begins with these bytes; undefined if more are needed. Throws for other bytes. */
  sizeOf(start: Buffer): number | undefined;
}

/** How a protocol writes on its connections and in its datagrams, for a new one of them. */
export interface FaultyProtocol {
  connection(): FramedConnection;
  /** Undefined if it has no datagrams for single players. */
  datagrams?: (() => FrameCodec) | undefined;
}

const NOTHING = Buffer.alloc(0);

/**
 * Cuts what one side sends into frames, and writes others in their place. Bytes that form no frame pass unchanged, and
 * with them everything that follows.
 */
export class CutFrames {
  readonly #sizeOf: FramedConnection['sizeOf'];
  readonly #frame: (frame: Buffer) => Buffer[];
  #part: Buffer = NOTHING;
  #isLost = false;

  constructor(sizeOf: FramedConnection['sizeOf'], frame: (frame: Buffer) => Buffer[]) {
    this.#sizeOf = sizeOf;
    this.#frame = frame;
  }

  /** Takes what is to be sent, in pieces of any size, which may be used again after this; returns what goes out. */
  push(bytes: Buffer): Buffer[] {
    const out: Buffer[] = [];
    let rest = this.#part.length === 0 ? bytes : Buffer.concat([this.#part, bytes]);
    while (rest.length > 0 && !this.#isLost) {
      const size = this.#sizeAt(rest);
      if (size === undefined || size > rest.length) break;
      out.push(...this.#frame(rest.subarray(0, size)));
      rest = rest.subarray(size);
    }
    if (this.#isLost && rest.length > 0) out.push(rest);
    this.#part = this.#isLost ? NOTHING : Buffer.from(rest);
    return out;
  }

  /** Returns what has not gone out, when the sender ends. */
  end(): Buffer[] {
    const rest = this.#part;
    this.#part = NOTHING;
    return rest.length > 0 ? [rest] : [];
  }

  #sizeAt(bytes: Buffer): number | undefined {
    try {
      const size = this.#sizeOf(bytes);
      this.#isLost = size === 0;
      return this.#isLost ? undefined : size;
    } catch {
      this.#isLost = true;
      return undefined;
    }
  }
}
