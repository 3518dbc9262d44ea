import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { Playlist, type PlaylistMedia } from '../../src/media/playlist.js';
import { type OpenedEntry, Programme, type ProgrammeEntry } from '../../src/media/programme.js';
import { testHeader, testPacket } from '../support/stream.js';
import { FakeClock } from './support.js';

/** Names a scripted entry: its title, and how many packets it has, 100 ms apart. */
type Script = readonly [title: string, packets: number];

interface Timed {
  readonly event: AsfEvent;
  /** In ms since the run began. */
  readonly at: number;
}

function media(source: Script, more: Partial<PlaylistMedia<Script>> = {}): PlaylistMedia<Script> {
  return { kind: 'media', sources: [source], noSkip: false, clientData: new Map(), ...more };
}

function scripted([title, packets]: Script): AsfSource {
  return {
    async *[Symbol.asyncIterator]() {
      yield { type: 'header', header: testHeader({ title }) };
      for (let number = 0; number < packets; number++) yield { type: 'packet', packet: testPacket(number * 100) };
      yield { type: 'end', moreEntries: false, reason: 0 };
    },
    close: () => Promise.resolve(),
  };
}

function open(script: Script): OpenedEntry {
  if (script[1] < 0) throw new Error(`${script[0]} is gone`);
  return { source: scripted(script), live: false, key: script[0] };
}

class Studio {
  readonly clock = new FakeClock();
  readonly skipped: string[] = [];
  readonly programme: Programme<Script>;
  rounds = 0;

  constructor(playlist: Playlist<Script>, again = false) {
    this.programme = new Programme<Script>({
      round: () => {
        this.rounds++;
        return Promise.resolve({ playlist, again });
      },
      onSkipped: (error: unknown, entry: ProgrammeEntry<Script>) =>
        this.skipped.push(`${entry.sources[0]![0]}: ${String(error)}`),
      clock: this.clock,
    });
  }

  async play(stopAfter = 1_000, onEvent: (event: AsfEvent) => void = () => {}) {
    const run = this.programme.run(open);
    const events: Timed[] = [];
    const began = this.clock.now();
    let error: unknown;
    try {
      for await (const event of run) {
        events.push({ event, at: this.clock.now() - began });
        onEvent(event);
        if (events.length === stopAfter) await run.close();
      }
    } catch (thrown) {
      error = thrown;
    }
    return { events, story: events.map(({ event }) => letter(event)).join(' '), error };
  }
}

function titleOf(event: AsfEvent): string | undefined {
  if (event.type !== 'header') return undefined;
  const found = event.header.objects.find((object) => object.type === 'contentDescription');
  return found?.type === 'contentDescription' ? found.title : undefined;
}

function letter(event: AsfEvent): string {
  if (event.type === 'end') return `E${event.reason}`;
  return event.type === 'header' ? `H(${titleOf(event)})` : 'D';
}

const A = media(['a', 20]);
const B = media(['b', 2]);
const GONE = media(['gone', -1]);

describe('a programme', () => {
  it('[WMHTTP-040] announces each entry but the first, and ends with its playlist', async () => {
    const studio = new Studio(new Playlist<Script>([B, media(['c', 1])]));
    expect(await studio.play()).toMatchObject({ story: 'H(b) D D E1 H(c) D E0', error: undefined });
  });

  it('sends each packet when it is due, over the borders of entries, and never far ahead', async () => {
    const studio = new Studio(new Playlist<Script>([A, A, media(['c', 20])]), true);
    const { events } = await studio.play(1_000);
    const packets = events.filter(({ event }) => event.type === 'packet');
    // Twenty packets of 100 ms are two seconds, in every entry of every round.
    for (const [index, { at }] of packets.entries()) {
      expect(at).toBeGreaterThanOrEqual(index * 100 - 100);
      expect(at).toBeLessThanOrEqual(index * 100 + 1);
    }
    expect(packets.length).toBeGreaterThan(900);
  });

  it('plays the same file again as one continuous stream, with times that go on', async () => {
    const studio = new Studio(new Playlist<Script>([A]), true);
    const { events, story } = await studio.play(101);
    expect(story).toBe(`H(a) ${'D '.repeat(100)}E0`);
    const times = events.flatMap(({ event }) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(times).toEqual(Array.from({ length: 100 }, (_, index) => index * 100));
    expect(studio.rounds).toBe(5);
  });

  it('plays an injected entry after the current one, and then goes on', async () => {
    const studio = new Studio(new Playlist<Script>([media(['a', 3]), media(['c', 1])]));
    const { story } = await studio.play(1_000, (event) => {
      if (titleOf(event) !== 'a') return;
      studio.programme.inject(media(['news', 2]));
      studio.programme.inject(media(['weather', 1]));
    });
    expect(story).toBe('H(a) D D D E1 H(news) D D E1 H(weather) D E1 H(c) D E0');
  });

  it('takes the next source of an entry, and passes over what cannot be played or is empty', async () => {
    const both = media(['gone', -1], { sources: [GONE.sources[0]!, ['b', 2]] });
    const studio = new Studio(new Playlist<Script>([GONE, both, media(['empty', 0]), media(['c', 1])]));
    expect(await studio.play()).toMatchObject({ story: 'H(b) D D E1 H(c) D E0', error: undefined });
    expect(studio.skipped).toEqual(['gone: Error: gone is gone', 'gone: Error: gone is gone']);
  });

  it.each([
    ['an endless playlist', { repeat: Number.POSITIVE_INFINITY }, false],
    ['endless rounds', {}, true],
  ])('fails when a whole round of %s fails, and does not spin', async (_, options, again) => {
    const studio = new Studio(new Playlist<Script>([GONE, GONE], options), again);
    const { story, error } = await studio.play();
    expect([story, String(error)]).toEqual(['', 'Error: gone is gone']);
    expect(studio.skipped).toHaveLength(2);
  });

  it('fails with the last error when everything goes away in the middle of an endless playlist', async () => {
    const script: [string, number] = ['a', 2];
    const options = { repeat: Number.POSITIVE_INFINITY };
    const studio = new Studio(new Playlist<Script>([media(script), media(script)], options));
    const { story, error } = await studio.play(1_000, ({ type }) => {
      if (type === 'packet') script[1] = -1;
    });
    expect([story, String(error)]).toEqual(['H(a) D D E0', 'Error: a is gone']);
  });

  it('does not hurry through tiny entries', async () => {
    const studio = new Studio(new Playlist<Script>([media(['a', 1]), media(['b', 1])]), true);
    const { events } = await studio.play(300);
    expect(events.at(-1)!.at).toBeGreaterThan(10_000);
  });

  it('waits before an entry with a delay, from the end of the one before', async () => {
    const studio = new Studio(new Playlist<Script>([A, media(['late', 1], { delay: 15_000 })]));
    const { events } = await studio.play();
    const late = events.find(({ event }) => titleOf(event) === 'late')!;
    expect(late.at).toBeGreaterThanOrEqual(2_000 + 15_000 - 200);
    expect(late.at).toBeLessThanOrEqual(2_000 + 15_000);
  });

  it('does not pace what is live, and leaves it after its duration', async () => {
    const clock = new FakeClock();
    const playlist = new Playlist<Script>([media(['live', 50]), media(['silent', 0], { dur: 5_000 })]);
    const programme = new Programme<Script>({ round: () => Promise.resolve({ playlist, again: false }), clock });
    const run = programme.run(([title, packets]) => {
      const source = title === 'live' ? scripted([title, packets]) : silent();
      return { source, live: true };
    });
    let packets = 0;
    for await (const { type } of run) if (type === 'packet') packets++;
    expect([packets, clock.sleeps]).toEqual([51, [200, 5_000]]);
  });
});

/** A live source that gives one packet, and then nothing until it is closed. */
function silent(): AsfSource {
  let close = () => {};
  const closed = new Promise<void>((resolve) => {
    close = resolve;
  });
  return {
    async *[Symbol.asyncIterator]() {
      yield { type: 'header', header: testHeader({ title: 'silent' }) };
      yield { type: 'packet', packet: testPacket(0) };
      await closed;
    },
    close: async () => close(),
  };
}
