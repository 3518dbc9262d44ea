import { type AsfHeader, parseHeader } from '../../src/asf/header.js';
import type { PlayerOutput, WireFormat } from '../../src/media/wire.js';
import type { Program } from '../../src/playback/content.js';
import { headerOf } from '../../src/playback/entry.js';
import type { Ending, EntryChange, PlaybackHost, PlaybackPort } from '../../src/playback/port.js';
import { NO_STREAMS, switched } from '../../src/playback/selection.js';
import { PlaybackSession } from '../../src/playback/session.js';

// A protocol made up for tests, over bytes. Frames: a letter, 32 bits of length, and that many bytes. H: an ASF header;
// D: 32 bits of number and an ASF data packet; S: where something starts; E: the end. Commands are lines: PLAY 1 2
// (streams) and SELECT 1.

function frame(letter: string, ...parts: readonly Buffer[]): Buffer {
  const head = Buffer.alloc(5);
  head.write(letter, 'latin1');
  head.writeUInt32BE(
    parts.reduce((sum, { length }) => sum + length, 0),
    1,
  );
  return Buffer.concat([head, ...parts]);
}

const DATA: WireFormat = {
  key: 'toy stream',
  numbers: 'player',
  mask: 0xffffffff,
  size: ({ bytes }) => 9 + bytes.length,
  write: (into, at, { bytes }, _unit, number) => {
    into.write('D', at, 'latin1');
    into.writeUInt32BE(4 + bytes.length, at + 1);
    into.writeUInt32BE(number >>> 0, at + 5);
    return 9 + bytes.copy(into, at + 9);
  },
};

/** The server's side of one connection. */
export class ToyStreamServer implements PlaybackPort {
  readonly changes = { lag: 0, quietAfterSelect: 0, confirmFirst: false };
  readonly output: PlayerOutput;
  readonly session: PlaybackSession;
  readonly #send: (bytes: Buffer) => void;

  /** @param send sends bytes to the client */
  constructor(host: PlaybackHost, program: Program, send: (bytes: Buffer) => void) {
    this.#send = send;
    this.session = new PlaybackSession(this, host);
    this.output = {
      framing: 'stream',
      backlog: 0,
      put: ({ bytes }, done) => {
        send(Buffer.from(bytes));
        done?.();
      },
      drained: (then) => then(),
      destroy: () => this.session.stop('closed'),
    };
    this.session.open(program);
    send(frame('H', headerOf(program.current)!.bytes));
  }

  async command(line: string): Promise<void> {
    const [name, ...streams] = line.split(' ');
    const on = streams.map((text) => ({ source: undefined, destination: Number(text), level: 0 as const }));
    const selection = switched(NO_STREAMS, on);
    if (name === 'PLAY') await this.session.play({ position: { kind: 'start' }, selection });
    else this.session.select(selection, false);
  }

  wire(): WireFormat {
    return DATA;
  }

  announce({ header }: EntryChange): 'go on' {
    this.#send(frame('H', header.bytes));
    return 'go on';
  }

  starting({ number }: { readonly number: number }): void {
    this.#send(frame('S', Buffer.from(`${number}`)));
  }

  ended(how: Ending): void {
    this.#send(frame('E', Buffer.from(how)));
  }
}

/** The data that a client received. */
export type ToyEvent =
  | { readonly kind: 'header'; readonly header: AsfHeader }
  | { readonly kind: 'packet'; readonly number: number; readonly bytes: Buffer }
  | { readonly kind: 'start' | 'end'; readonly text: string };

/** The client's side: reads frames, in whatever pieces they arrive. */
export class ToyStreamClient {
  readonly events: ToyEvent[] = [];
  #rest: Buffer = Buffer.alloc(0);

  receive(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    while (this.#rest.length >= 5) {
      const end = 5 + this.#rest.readUInt32BE(1);
      if (this.#rest.length < end) return;
      this.events.push(eventOf(this.#rest.toString('latin1', 0, 1), this.#rest.subarray(5, end)));
      this.#rest = this.#rest.subarray(end);
    }
  }
}

function eventOf(letter: string, body: Buffer): ToyEvent {
  switch (letter) {
    case 'H':
      return { kind: 'header', header: parseHeader(body) };
    case 'D':
      return { kind: 'packet', number: body.readUInt32BE(0), bytes: body.subarray(4) };
    case 'S':
      return { kind: 'start', text: body.toString() };
    default:
      return { kind: 'end', text: body.toString() };
  }
}
