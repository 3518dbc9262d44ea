import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PackagedSource } from '../../src/capture/packager.js';
import { WmError } from '../../src/errors.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { testHeader, testPacket } from '../support/stream.js';
import { until } from '../support/until.js';

/** A source of some packets; afterwards it waits until it is closed, or fails. */
function source(packets: number, then: 'ends' | 'waits' | 'fails' = 'ends'): AsfSource & { closed: boolean } {
  let release = () => {};
  const closed = new Promise<void>((resolve) => {
    release = resolve;
  });
  const made = {
    closed: false,
    async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
      yield { type: 'header', header: testHeader({ title: 'One' }) };
      for (let index = 0; index < packets; index++) {
        yield { type: 'packet', packet: testPacket(index * 100, { key: index % 10 === 0 }) };
      }
      if (then === 'waits') await closed;
      if (then === 'fails') throw new WmError('WM_BAD_INPUT', 'The tape is broken.');
      yield { type: 'end', moreEntries: false, reason: 0 };
    },
    close: async () => {
      made.closed = true;
      release();
    },
  };
  return made;
}

async function all(packaged: PackagedSource): Promise<{ events: AsfEvent[]; error: unknown }> {
  const events: AsfEvent[] = [];
  try {
    for await (const event of packaged) events.push(event);
    return { events, error: undefined };
  } catch (error) {
    return { events, error };
  }
}

describe('a packaged source', () => {
  it('returns what the program returns, then an end', async () => {
    const { events, error } = await all(new PackagedSource(source(50), { command: 'cat' }));
    expect(error).toBeUndefined();
    expect(events.map(({ type }) => type)).toEqual(['header', ...Array<string>(50).fill('packet'), 'end']);
    const sent = events.flatMap((event) => (event.type === 'packet' ? [event.packet.sendTime] : []));
    expect(sent).toEqual(Array.from({ length: 50 }, (_, index) => index * 100));
  });

  it.each([
    ['exit 3', 'ended with exit code 3'],
    ['echo "no key" >&2; exit 1', 'ended with exit code 1: no key'],
    ['/nonexistent/packager --key secret', 'ended with exit code 127'],
    ['true', 'returned nothing'],
    ['cat > /dev/null', 'returned nothing'],
    ['yes', 'does not return ASF'],
    ['cat; exit 4', 'ended with exit code 4'],
  ])('fails with "%s"', async (command, sentence) => {
    const { error } = await all(new PackagedSource(source(5), { command }));
    expect(error).toMatchObject({ code: 'WM_PACKAGER_FAILED', message: expect.stringContaining(sentence) });
    expect(String(error)).toMatch(/^WmError: The packager \S+ /);
    expect(String(error)).not.toContain('--key secret');
  });

  it('does not wait for a program that returns nothing', async () => {
    const input = source(5, 'waits');
    const { error } = await all(new PackagedSource(input, { command: 'exec sleep 60', patience: 300 }));
    expect(error).toMatchObject({ message: expect.stringContaining('returned nothing for 0.3 s') });
    expect(input.closed).toBe(true);
  });

  it('waits for a source that is silent for longer', async () => {
    const input = source(5, 'waits');
    const packaged = new PackagedSource(input, { command: 'cat', patience: 100 });
    setTimeout(() => void packaged.close(), 500);
    const { events, error } = await all(packaged);
    expect([error, events.length]).toEqual([undefined, 7]);
  });

  it('passes on why its source failed, after what came before', async () => {
    const { events, error } = await all(new PackagedSource(source(5, 'fails'), { command: 'cat' }));
    expect(error).toMatchObject({ code: 'WM_BAD_INPUT', message: 'The tape is broken.' });
    expect(events.filter(({ type }) => type === 'packet')).toHaveLength(5);
  });

  it('ends the program and what it has started when nobody reads it any more', async () => {
    const file = join(tmpdir(), `wmcast-packager-${process.pid}`);
    const command = `sh -c 'echo $$ > ${file}; exec sleep 60' & cat`;
    const input = source(5, 'waits');
    for await (const event of new PackagedSource(input, { command })) if (event.type === 'packet') break;
    const pid = await until('its process', async () => Number(await readFile(file, 'utf8').catch(() => '')) || false);
    await until('its end', () => {
      try {
        process.kill(pid, 0);
        return false;
      } catch {
        return true;
      }
    });
    expect(input.closed).toBe(true);
    await rm(file);
  });
});
