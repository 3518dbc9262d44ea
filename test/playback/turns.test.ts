import fc from 'fast-check';
import type { OnDemandFile } from '../../src/media/on-demand/file.js';
import type { OnDemandItem } from '../../src/media/on-demand/options.js';
import type { Program } from '../../src/playback/content.js';
import type { Entry, FileEntry } from '../../src/playback/entry.js';
import { ALL_STREAMS, NO_STREAMS } from '../../src/playback/selection.js';
import type { PlaybackSession } from '../../src/playback/session.js';
import { Refusal } from '../../src/refusal.js';
import { FakePort, Feeder, House, type ListProgram } from './support.js';

/** Everything that a session awaits, held until the test lets it through. */
class Gates {
  readonly #held: Array<() => void> = [];
  #open = false;

  pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#open) return work();
    return new Promise((resolve) => this.#held.push(() => resolve(work())));
  }

  /** Lets the oldest wait end. */
  async one(): Promise<void> {
    this.#held.shift()?.();
    await settled();
  }

  async all(): Promise<void> {
    this.#open = true;
    while (this.#held.length > 0) await this.one();
    await settled();
  }

  shut(): void {
    this.#open = false;
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 6; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** Readers that were asked for packets, and whether theirs is the current entry of the program. */
type Asked = Map<object, () => boolean>;

/** A program whose steps and places arrive when the gates let them. */
class GatedProgram implements Program {
  readonly #inner: ListProgram;
  readonly #gates: Gates;
  readonly #asked: Asked;
  #entries = new WeakMap<Entry, Entry>();

  /** @param asked the readers that were asked for packets */
  constructor(inner: ListProgram, gates: Gates, asked: Asked) {
    this.#inner = inner;
    this.#gates = gates;
    this.#asked = asked;
  }

  readonly playlist = true;

  get current(): Entry {
    const entry = this.#inner.current;
    const known = this.#entries.get(entry);
    if (known) return known;
    const gated: Entry = entry.kind === 'file' ? { ...entry, file: this.#file(entry) } : entry;
    this.#entries.set(entry, gated);
    return gated;
  }

  canSkip(offset: -1 | 1): boolean {
    return this.#inner.canSkip(offset);
  }

  next(): Promise<Entry | undefined> {
    return this.#step(() => this.#inner.next());
  }

  previous(): Promise<Entry | undefined> {
    return this.#step(() => this.#inner.previous());
  }

  seek(id: number, offset: -1 | 0 | 1): Promise<Entry | undefined> {
    return this.#step(() => this.#inner.seek(id, offset));
  }

  close(): void {
    this.#inner.close();
  }

  async #step(step: () => Promise<Entry | undefined>): Promise<Entry | undefined> {
    return (await this.#gates.pass(step)) && this.current;
  }

  #file(entry: FileEntry): OnDemandFile {
    const { file } = entry;
    const reader: OnDemandFile['reader'] = (options) => {
      const made = file.reader(options);
      let next = options.from;
      // From memory, so that no disk influences the order.
      made.next = async (pacer) => {
        this.#asked.set(made, () => this.#inner.current === entry);
        const items: OnDemandItem[] = [];
        for (; next < PACKETS && pacer!.due(next * 100); next++) {
          items.push({ location: next, bytes: Buffer.alloc(10), sendTime: next * 100 });
          pacer!.given(10);
        }
        return { items, end: next === PACKETS };
      };
      return made;
    };
    const locate: OnDemandFile['locate'] = (...where) => this.#gates.pass(() => file.locate(...where));
    return new Proxy(file, {
      get: (target, name) => {
        if (name === 'reader') return reader;
        if (name === 'locate') return locate;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  }
}

/** Positions in a file, 100 ms each. */
const PACKETS = 900;

const START = { position: { kind: 'start' }, selection: ALL_STREAMS } as const;

const OPERATIONS = {
  play: (session: PlaybackSession) => session.play(START),
  pause: (session: PlaybackSession) => session.pause(),
  seek: (session: PlaybackSession) => session.seek({ kind: 'time', milliseconds: 30_000 }),
  select: (session: PlaybackSession) => session.select(session.asked === ALL_STREAMS ? NO_STREAMS : ALL_STREAMS, false),
  resume: (session: PlaybackSession) => session.resume(),
  next: (session: PlaybackSession) => session.next(1),
  'stop for now': (session: PlaybackSession) => session.stop('stopped'),
  stop: (session: PlaybackSession) => session.stop('closed'),
} as const;
type Operation = keyof typeof OPERATIONS;
const NAMES = Object.keys(OPERATIONS) as Operation[];
/** No operation waits more often than that. */
const MOST_GATES = 6;
const ENDING: readonly Operation[] = ['pause', 'stop for now', 'stop'];

let house: House;

beforeAll(async () => {
  house = await House.build();
  await house.media('long', { seconds: 90 });
});

afterAll(() => house.close());

const STATES = [
  ...['ready', 'given back', 'playing a file', 'playing a broadcast'],
  ...['waiting', 'between entries', 'between headers'],
] as const;
type State = (typeof STATES)[number];
/** The outputs that send when the gates let them. */
const OVER_DATAGRAMS: readonly State[] = ['between entries', 'between headers'];

/** A session in a state, and the number of its feeds. */
async function stage(state: State) {
  const gates = new Gates();
  const asked: Asked = new Map();
  const live = new Feeder(house);
  live.packet({ key: true });
  const port = new FakePort();
  const file = { file: 'long' };
  if (OVER_DATAGRAMS.includes(state)) port.framing = 'datagrams';
  port.onDrain = (then) => void gates.pass(async () => undefined).then(then);
  const isLive = state === 'playing a broadcast' || state === 'between headers';
  const made = isLive ? [live.broadcast, file] : [file, live.broadcast, file];
  const open = async (): Promise<Program> => new GatedProgram(await house.program(...made), gates, asked);
  const session = house.session(port);
  session.open(await open(), () => gates.pass(open));
  const begin = async (started: Promise<unknown>) => {
    await settled();
    await gates.all();
    await started;
  };
  if (state === 'given back') house.tick(30_001);
  if (state.startsWith('playing')) await begin(session.play(START));
  if (state === 'waiting') {
    port.answer = 'wait';
    await begin(session.next(1));
    port.answer = 'go on';
  }
  if (state === 'between entries') {
    const started = session.play({ ...START, position: { kind: 'packet', packet: PACKETS - 1 } });
    await settled();
    await gates.one();
    await started;
    await house.until('the last packet', () => port.locations.length > 0, 0);
  }
  if (state === 'between headers') {
    await begin(session.play(START));
    gates.shut();
    live.header({ title: 'another', packetSize: 500 });
    live.packet({ key: true });
    await settled();
  }
  gates.shut();
  const feeds = async () => {
    asked.clear();
    // A feed that is reading asks again only once it has finished.
    for (let round = 0; round < 4; round++) {
      house.tick(500);
      await settled();
    }
    expect([...asked.values()].every((isCurrent) => isCurrent())).toBe(true);
    return asked.size + live.broadcast.players;
  };
  /** The player's notifications so far. */
  const told = () => port.changed.length + port.starts.length + port.ends.length;
  return { session, gates, feeds, told };
}

/** An operation that throws counts as a rejection, too. */
async function call(session: PlaybackSession, operation: Operation): Promise<void> {
  await OPERATIONS[operation](session);
}

async function run(state: State, steps: ReadonlyArray<{ readonly operation: Operation; readonly gates: number }>) {
  const { session, gates, feeds, told } = await stage(state);
  let toldAtEnd = 0;
  const results: Array<Promise<unknown>> = [];
  for (const { operation, gates: through } of steps) {
    const result = call(session, operation);
    toldAtEnd = told();
    // Nothing is left after a stop.
    results.push(result.catch((error: unknown) => (error instanceof Refusal ? undefined : Promise.reject(error))));
    await settled();
    for (let count = 0; count < through; count++) await gates.one();
    expect(await feeds()).toBeLessThanOrEqual(1);
    if (ENDING.includes(operation)) expect(await feeds()).toBe(0);
  }
  await gates.all();
  await Promise.all(results);
  const last = steps.at(-1)!.operation;
  const stopped = session.state === 'init';
  const count = await feeds();
  session.stop('closed');
  await settled();
  expect(count).toBeLessThanOrEqual(1);
  if (ENDING.includes(last)) expect([count, told()]).toEqual([0, toldAtEnd]);
  if (last === 'play' && !stopped) expect(count).toBe(1);
  expect(house.open).toBe(0);
}

describe('operations that start while others wait', () => {
  it.each(NAMES.flatMap((first) => NAMES.map((second) => [first, second] as const)))(
    'leave one feed at most, and none after an end: %s, %s',
    async (first, second) => {
      for (const state of STATES) {
        for (let gates = 0; gates <= MOST_GATES; gates++) {
          await run(state, [
            { operation: first, gates },
            { operation: second, gates: 0 },
          ]);
        }
      }
    },
    30_000,
  );

  it('may do so in any order and number', async () => {
    const step = fc.record({ operation: fc.constantFrom(...NAMES), gates: fc.nat({ max: 3 }) });
    const steps = fc.array(step, { minLength: 1, maxLength: 8 });
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...STATES), steps, (state, list) => run(state, list)),
      { numRuns: 150 },
    );
  }, 60_000);
});
