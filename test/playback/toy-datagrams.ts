import { DatagramOutput, DatagramPacer, type DatagramSender, type TickClock } from '../../src/media/datagrams.js';
import type { WireFormat } from '../../src/media/wire.js';
import type {
  ChangeAnswer,
  Ending,
  EntryChange,
  PlaybackHost,
  PlaybackPort,
  Started,
} from '../../src/playback/port.js';
import { ALL_STREAMS } from '../../src/playback/selection.js';
import { PlaybackSession } from '../../src/playback/session.js';

// A protocol made up for tests, over datagrams, with a control dialogue. A packet takes two datagrams: 16 bits of
// number, 32 bits of location, a byte for which half it is, and the half. The dialogue consists of lines in both
// directions: PLAY, PAUSE, RESUME, RESEND 1 2 …; START number, NEXT title, END how.

const HEAD = 7;
const half = (length: number, unit: number) => (unit === 0 ? length >> 1 : length - (length >> 1));

const HALVES: WireFormat = {
  key: 'toy datagrams',
  numbers: 'lane',
  mask: 0xffff,
  units: () => 2,
  size: ({ bytes }, unit) => HEAD + half(bytes.length, unit),
  write: (into, at, { location, bytes }, unit, number) => {
    into.writeUInt16BE(number & 0xffff, at);
    into.writeUInt32BE(location, at + 2);
    into[at + 6] = unit;
    const middle = bytes.length >> 1;
    return HEAD + bytes.copy(into, at + HEAD, unit * middle, unit === 0 ? middle : bytes.length);
  },
};

/** The server's side of one player. */
export class ToyDatagramServer implements PlaybackPort {
  readonly changes = { lag: 0, quietAfterSelect: 0, confirmFirst: false };
  readonly output: DatagramOutput;
  readonly session: PlaybackSession;
  readonly #say: (line: string) => void;
  /** True once the client has said that it plays this entry, so that the next one may be announced. */
  #played = false;

  /** @param say sends a line to the client */
  constructor(host: PlaybackHost, clock: TickClock, sender: DatagramSender, say: (line: string) => void) {
    this.#say = say;
    const pacer = new DatagramPacer(clock);
    this.output = new DatagramOutput({ pacer, sender, address: '127.0.0.1', port: 1 });
    this.session = new PlaybackSession(this, host);
  }

  async command(line: string): Promise<void> {
    const [name, ...numbers] = line.split(' ');
    this.#played ||= name === 'PLAY' && this.session.active;
    if (this.#played && name === 'PLAY') this.session.confirm();
    else if (name === 'PLAY') await this.session.play({ position: { kind: 'start' }, selection: ALL_STREAMS });
    else if (name === 'PAUSE') this.session.pause();
    else if (name === 'RESUME') await this.session.resume();
    else if (name === 'RESEND') this.#resend(numbers.map(Number));
  }

  #resend(asked: readonly number[]): void {
    const next = this.session.number;
    const batch = this.session.resend(asked.map((number) => next - ((next - number) & 0xffff)));
    if (batch.ends.length > 0) this.output.repeat(batch);
  }

  wire(): WireFormat {
    return HALVES;
  }

  announce({ entry }: EntryChange): ChangeAnswer {
    if (!this.#played) return 'later';
    this.#played = false;
    this.#say(`NEXT ${entry.id}`);
    return 'go on';
  }

  starting({ number }: Started): void {
    this.#say(`START ${number}`);
  }

  ended(how: Ending, number: number): void {
    this.#say(`END ${how} ${number}`);
  }
}

/** The client's side: joins halves, and knows which are missing. */
export class ToyDatagramClient {
  readonly lines: string[] = [];
  /** Complete packets, by their location, in the order of completion. */
  readonly packets: Array<{ readonly location: number; readonly bytes: Buffer }> = [];
  /** The received numbers, 16 bits each. */
  readonly numbers: number[] = [];
  readonly #halves = new Map<number, Buffer[]>();

  hear(line: string): void {
    this.lines.push(line);
  }

  receive(datagram: Buffer): void {
    const location = datagram.readUInt32BE(2);
    this.numbers.push(datagram.readUInt16BE(0));
    const halves = this.#halves.get(location) ?? [];
    halves[datagram[6]!] = datagram.subarray(HEAD);
    this.#halves.set(location, halves);
    if (!halves[0] || !halves[1]) return;
    this.#halves.delete(location);
    this.packets.push({ location, bytes: Buffer.concat([halves[0], halves[1]]) });
  }

  /** The missing numbers between the first and the last. */
  get missing(): number[] {
    const got = new Set(this.numbers);
    const [first] = this.numbers;
    const count = ((this.numbers.at(-1)! - first!) & 0xffff) + 1;
    return Array.from({ length: count }, (_, index) => (first! + index) & 0xffff).filter((number) => !got.has(number));
  }
}
