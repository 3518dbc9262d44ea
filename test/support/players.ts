import type { AsfHeader } from '../../src/asf/header.js';
import type { EndEvent } from '../../src/media/events.js';
import {
  EVERY_STREAM,
  type FirstPacket,
  type HeaderCause,
  type PlayerSession,
  type Wanted,
  type WireBatch,
  type WireFormat,
} from '../../src/media/wire.js';

/** A format whose units are `location:number` lines, which tests can read. */
export function textWire(key = 'text', more: Partial<WireFormat> = {}): WireFormat {
  const line = (location: number, number: number, mask: number) =>
    `${location}:${String((number & mask) >>> 0).padStart(5, '0')}\n`;
  const wire: WireFormat = {
    key,
    numbers: 'player',
    mask: 255,
    size: ({ location }) => line(location, 0, wire.mask).length,
    write: (into, at, { location }, _unit, number) => into.write(line(location, number, wire.mask), at, 'latin1'),
    ...more,
  };
  return wire;
}

/** Selects all streams, in a format. */
export function wanting(wire: WireFormat = textWire()): Wanted {
  return { choice: EVERY_STREAM, wire };
}

/** A player that keeps what it receives, with a backlog set by the test. */
export class FakePlayer implements PlayerSession {
  readonly batches: WireBatch[] = [];
  readonly headers: AsfHeader[] = [];
  readonly causes: HeaderCause[] = [];
  readonly ends: EndEvent[] = [];
  /** The first packet that was announced, and how many batches had arrived by then. */
  readonly starts: Array<FirstPacket & { readonly after: number }> = [];
  backlog = 0;
  /** If true, the test takes the output by lowering the backlog; otherwise it stays as the test sets it. */
  counts = false;
  destroyed = false;
  framing: 'stream' | 'datagrams' = 'stream';
  /** The answer to another header; undefined leaves. */
  next: Wanted | undefined = wanting();

  readonly output = {
    getFraming: () => this.framing,
    get framing(): 'stream' | 'datagrams' {
      return this.getFraming();
    },
    put: (batch: WireBatch) => {
      this.batches.push(batch);
      if (this.counts) this.backlog += batch.bytes.length;
    },
    drained: (then: () => void) => queueMicrotask(then),
    getBacklog: () => this.backlog,
    get backlog(): number {
      return this.getBacklog();
    },
    destroy: () => {
      this.destroyed = true;
    },
  };

  starting(first: FirstPacket): void {
    this.starts.push({ ...first, after: this.batches.length });
  }

  changed(header: AsfHeader, cause: HeaderCause): Wanted | undefined {
    this.headers.push(header);
    this.causes.push(cause);
    return this.next;
  }

  ended(event: EndEvent): void {
    this.ends.push(event);
  }

  get written(): Buffer[] {
    return this.batches.map(({ bytes }) => bytes);
  }

  /** The location and number of each received unit. */
  get packets(): Array<[location: number, number: number]> {
    return this.written
      .flatMap((bytes) => bytes.toString().trimEnd().split('\n'))
      .filter((line) => line !== '')
      .map((line) => line.split(':').map(Number) as [number, number]);
  }
}
