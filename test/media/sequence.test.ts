import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { Sequence, type SequenceOptions } from '../../src/media/sequence.js';
import { testHeader, testPacket } from '../support/stream.js';

/** A source of one header and packets 100 ms apart. */
function entry(title: string, packets: number, error?: Error): () => AsfSource {
  return () => ({
    async *[Symbol.asyncIterator]() {
      if (title !== '') yield { type: 'header', header: testHeader({ title }) };
      for (let number = 0; number < packets; number++) yield { type: 'packet', packet: testPacket(number * 100) };
      if (title !== '') yield { type: 'end', moreEntries: false, reason: 0 };
      if (error) throw error;
    },
    close: () => Promise.resolve(),
  });
}

const failing = (message: string) => () => Promise.reject(new Error(message));

async function storyOf(options: SequenceOptions, stopAfter = Number.POSITIVE_INFINITY) {
  const sequence = new Sequence(options);
  const events: AsfEvent[] = [];
  let error: unknown;
  try {
    for await (const event of sequence) {
      events.push(event);
      if (events.length === stopAfter) await sequence.close();
    }
  } catch (thrown) {
    error = thrown;
  }
  const letters = { header: 'H', packet: 'D', end: 'E' };
  const story = events.map((event) => (event.type === 'end' ? `E${event.reason}` : letters[event.type])).join(' ');
  return { story, error };
}

describe('a sequence of sources', () => {
  it('announces more entries before each header but the first', async () => {
    const { story, error } = await storyOf({ entries: [entry('a', 2), entry('b', 1), entry('c', 1)] });
    expect([story, error]).toEqual(['H D D E1 H D E1 H D E0', undefined]);
  });

  it('skips entries that cannot be opened or break off', async () => {
    const skipped: string[] = [];
    const onSkipped = (error: unknown, index: number) => skipped.push(`${index}: ${String(error)}`);
    const entries = [failing('no'), entry('b', 1, new Error('broke')), entry('c', 2)];
    expect(await storyOf({ entries, onSkipped })).toEqual({ story: 'H D E1 H D D E0', error: undefined });
    expect(skipped).toEqual(['0: Error: no', '1: Error: broke']);
  });

  it('fails if no entry yields anything, even in a loop', async () => {
    const { story, error } = await storyOf({ entries: [failing('one'), failing('two')], loop: true });
    expect([story, String(error)]).toEqual(['', 'Error: two']);
  });

  it('starts over until it is closed', async () => {
    const { story } = await storyOf({ entries: [entry('a', 1), entry('b', 1)], loop: true }, 8);
    expect(story).toMatch(/^H D E1 H D E1 H D(?: E1 H)? E0$/);
  });

  it('ends after this many seconds over all entries', async () => {
    const { story } = await storyOf({ entries: [entry('a', 4), entry('b', 9)], duration: 0.6 });
    expect(story).toBe('H D D D D E1 H D D D E0');
  });
});
