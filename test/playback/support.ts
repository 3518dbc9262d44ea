import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AsfHeader } from '../../src/asf/header.js';
import { Broadcast } from '../../src/media/broadcast.js';
import { OnDemandFiles } from '../../src/media/on-demand/files.js';
import { Ticker } from '../../src/media/on-demand/flow.js';
import type { PlayerOutput, WireBatch, WireFormat } from '../../src/media/wire.js';
import type { Program } from '../../src/playback/content.js';
import type { Entry, FileEntry } from '../../src/playback/entry.js';
import { DEFAULT_LIMITS } from '../../src/playback/pace.js';
import type {
  ChangeAnswer,
  Ending,
  EntryChange,
  PlaybackHost,
  PlaybackPort,
  PlaybackState,
  Started,
} from '../../src/playback/port.js';
import { ReadySessions } from '../../src/playback/ready.js';
import { ResendBudget } from '../../src/playback/sent-ring.js';
import { PlaybackSession } from '../../src/playback/session.js';
import { textWire } from '../support/players.js';
import { type TestHeaderOptions, testHeader, testPacket } from '../support/stream.js';
import { type MadeMedia, madeFile } from '../wmsp/content.js';

/** A file as an entry, by its name. */
export type Made = { readonly file: string } & Omit<FileEntry, 'kind' | 'id' | 'file'>;

/** Files and a clock, as a server gives them to its sessions. */
export class House {
  readonly files: OnDemandFiles;
  readonly folder: string;
  readonly ticker = new Ticker(5);
  readonly errors: unknown[] = [];
  readonly host: PlaybackHost;
  /** The number of open programs. */
  open = 0;
  /** The time of the clock, in ms; {@link tick} moves it. */
  now = 1_000_000;
  readonly #sessions: PlaybackSession[] = [];

  private constructor(folder: string, maxFiles: number, maxReady: number | undefined) {
    this.folder = folder;
    this.files = new OnDemandFiles({ linger: 5, maxFiles });
    const now = () => this.now;
    this.host = {
      ticker: this.ticker,
      now,
      ahead: 0,
      limits: DEFAULT_LIMITS,
      ready: new ReadySessions(now, maxReady),
      resends: new ResendBudget(),
      playing: new Set(),
      failed: (error) => this.errors.push(error),
    };
  }

  static async build(options: { maxFiles?: number; maxReady?: number } = {}): Promise<House> {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-playback-'));
    return new House(folder, options.maxFiles ?? 256, options.maxReady);
  }

  async media(name: string, options: MadeMedia = {}): Promise<void> {
    await writeFile(join(this.folder, name), madeFile({ title: name, ...options }));
  }

  /** Returns a program of these entries, with ids from 1. */
  async program(...made: Array<Made | Broadcast>): Promise<ListProgram> {
    const program = new ListProgram(this, made);
    await program.seek(1, 0);
    this.open++;
    return program;
  }

  session(port: FakePort): PlaybackSession {
    const session = new PlaybackSession(port, this.host);
    this.#sessions.push(session);
    port.session = session;
    return session;
  }

  tick(milliseconds: number): void {
    this.now += milliseconds;
    this.ticker.tick();
    this.host.ready.sweep();
    this.host.resends.sweep();
    for (const session of this.host.playing) session.adapt();
  }

  /** Lets time pass until something has happened; `step` ms of the clock for each turn of the event loop. */
  async until(what: string, happened: () => boolean, step = 50): Promise<void> {
    const deadline = Date.now() + 4_500;
    while (!happened()) {
      if (Date.now() > deadline) throw new Error(`This did not happen: ${what}.`);
      this.tick(step);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** Lets everything pending settle while the clock is stopped. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      this.tick(0);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async close(): Promise<void> {
    for (const session of this.#sessions) session.stop('closed');
    await this.files.close();
    await rm(this.folder, { recursive: true, force: true });
    if (this.errors.length > 0) throw this.errors[0];
  }
}

/** A program of a list of entries. */
export class ListProgram implements Program {
  readonly #house: House;
  readonly #made: ReadonlyArray<Made | Broadcast>;
  #current: Entry | undefined;
  #closed = false;

  constructor(house: House, made: ReadonlyArray<Made | Broadcast>) {
    this.#house = house;
    this.#made = made;
  }

  get playlist(): boolean {
    return this.#made.length > 1;
  }

  get current(): Entry {
    return this.#current!;
  }

  canSkip(offset: -1 | 1): boolean {
    return this.#made[this.current.id - 1 + offset] !== undefined;
  }

  next(): Promise<Entry | undefined> {
    return this.seek(this.current.id, 1);
  }

  previous(): Promise<Entry | undefined> {
    return this.seek(this.current.id, -1);
  }

  async seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined> {
    const made = this.#made[id - 1 + offset];
    if (!made) return undefined;
    const entry = await this.#opened(id + offset, made);
    if (this.#closed) {
      this.#release(entry);
      return undefined;
    }
    if (this.#current) this.#release(this.#current);
    this.#current = entry;
    return entry;
  }

  close(): void {
    if (this.#closed) throw new Error('A program was closed twice.');
    this.#closed = true;
    this.#house.open--;
    this.#release(this.current);
  }

  async #opened(id: number, made: Made | Broadcast): Promise<Entry> {
    if (made instanceof Broadcast) return { kind: 'live', id, broadcast: made };
    const { file, ...more } = made;
    return { ...more, kind: 'file', id, file: await this.#house.files.acquire(join(this.#house.folder, file)) };
  }

  #release(entry: Entry): void {
    if (entry.kind === 'file') this.#house.files.release(entry.file);
  }
}

/** A port that records what happens, in order. */
export class FakePort implements PlaybackPort {
  /** `start 0`, `next a.wmv`, `end done` …, and `data` for packets. */
  readonly log: string[] = [];
  readonly batches: WireBatch[] = [];
  readonly starts: Started[] = [];
  readonly changed: EntryChange[] = [];
  readonly ends: Array<{ how: Ending; number: number; reason: number }> = [];
  readonly states: PlaybackState[] = [];
  answer: ChangeAnswer = 'go on';
  changes = { lag: 0, quietAfterSelect: 0, confirmFirst: false };
  format: WireFormat = textWire();
  framing: 'stream' | 'datagrams' = 'stream';
  /** Waits for an output of datagrams to be drained. */
  readonly awaitsDrain: Array<() => void> = [];
  onDrain = (then: () => void): void => void this.awaitsDrain.push(then);
  session: PlaybackSession | undefined;
  backlog = 0;

  get output(): PlayerOutput {
    return {
      framing: this.framing,
      backlog: this.backlog,
      put: (batch, done) => {
        this.batches.push({ bytes: Buffer.from(batch.bytes), ends: [...batch.ends] });
        if (this.log.at(-1) !== 'data') this.log.push('data');
        done?.();
      },
      drained: (then) => this.onDrain(then),
      destroy: () => this.session?.stop('closed'),
    };
  }

  /** The location and number of each received unit. */
  get packets(): Array<{ location: number; number: number }> {
    return this.batches
      .flatMap(({ bytes }) => bytes.toString('latin1').trimEnd().split('\n'))
      .map((line) => line.split(':').map(Number))
      .map(([location, number]) => ({ location: location!, number: number! }));
  }

  get locations(): number[] {
    return this.packets.map(({ location }) => location);
  }

  wire(_header: AsfHeader): WireFormat {
    return this.format;
  }

  announce(change: EntryChange): ChangeAnswer {
    if (this.answer !== 'later') this.log.push(`${change.cause} ${titleOf(change.header)}`);
    this.changed.push(change);
    return this.answer;
  }

  starting(first: Started): void {
    this.log.push(`start ${first.number}`);
    this.starts.push(first);
  }

  ended(how: Ending, number: number, reason: number): void {
    this.log.push(`end ${how}`);
    this.ends.push({ how, number, reason });
  }

  entered(state: PlaybackState): void {
    this.states.push(state);
  }
}

export function titleOf(header: AsfHeader): string {
  const object = header.objects.find((candidate) => candidate.type === 'contentDescription');
  return object?.title ?? '';
}

/** A broadcast that the test feeds. */
export class Feeder {
  readonly broadcast: Broadcast;
  #sendTime = 0;

  constructor(house: House, header: TestHeaderOptions | undefined = {}) {
    this.broadcast = new Broadcast({ batchInterval: 0, burst: 1000, now: () => house.now });
    if (header) this.header(header);
  }

  header(options: TestHeaderOptions = {}): void {
    this.broadcast.write({ type: 'header', header: testHeader(options) });
  }

  /** One packet, 100 ms after the last one. */
  packet(options: { key?: boolean; stream?: number } = {}): void {
    this.broadcast.write({ type: 'packet', packet: testPacket(this.#sendTime, { dataSize: 200, ...options }) });
    this.#sendTime += 100;
  }

  end(moreEntries = false): void {
    this.broadcast.write({ type: 'end', moreEntries, reason: moreEntries ? 1 : 0 });
  }
}
