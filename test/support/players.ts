import type { AsfHeader } from '../../src/asf/header.js';
import type { EndEvent } from '../../src/media/events.js';
import type { LaneFormat, PlayerSession } from '../../src/media/lane.js';

/** A lane whose wrapped packets are `location:sequence` lines, which tests can read. */
export function textFormat(key = 'text', phases: 1 | 256 = 256): LaneFormat {
  return {
    key,
    phases,
    select: ({ wire }) => wire,
    wrap: (items, sequence) =>
      Buffer.from(items.map(({ location }, index) => `${location}:${(sequence + index) & 255}\n`).join('')),
  };
}

/** A player that keeps what it gets and whose backlog the test sets. */
export class FakePlayer implements PlayerSession {
  readonly written: Buffer[] = [];
  readonly headers: AsfHeader[] = [];
  readonly ends: EndEvent[] = [];
  backlog = 0;
  destroyed = false;
  /** What it answers to another header; undefined leaves. */
  next: LaneFormat | undefined = textFormat();

  readonly output = {
    write: (bytes: Buffer) => {
      this.written.push(bytes);
    },
    getBacklog: () => this.backlog,
    get backlog(): number {
      return this.getBacklog();
    },
    destroy: () => {
      this.destroyed = true;
    },
  };

  changed(header: AsfHeader): LaneFormat | undefined {
    this.headers.push(header);
    return this.next;
  }

  ended(event: EndEvent): void {
    this.ends.push(event);
  }

  /** Location and sequence number of each packet that came. */
  get packets(): Array<[location: number, sequence: number]> {
    return this.written
      .flatMap((bytes) => bytes.toString().trimEnd().split('\n'))
      .filter((line) => line !== '')
      .map((line) => line.split(':').map(Number) as [number, number]);
  }
}
