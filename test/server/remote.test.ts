import { WmError } from '../../src/errors.js';
import type { AsfEvent, AsfSource } from '../../src/media/events.js';
import { EVERY_STREAM } from '../../src/media/wire.js';
import { Remotes } from '../../src/server/points/remote.js';
import { FakePlayer, textWire } from '../support/players.js';
import { testHeader } from '../support/stream.js';

/** A source that yields a header and then nothing, until it is closed. */
class Still implements AsfSource {
  closed = false;
  #wake: () => void = () => {};
  readonly #hasHeader: boolean;

  constructor(hasHeader = true) {
    this.#hasHeader = hasHeader;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent> {
    if (this.#hasHeader) yield { type: 'header', header: testHeader() };
    if (!this.closed) await new Promise<void>((resolve) => (this.#wake = resolve));
    yield { type: 'end', moreEntries: false, reason: 0 };
  }

  async close(): Promise<void> {
    this.closed = true;
    this.#wake();
  }
}

const STAYS = new AbortController().signal;

describe('content of another server', () => {
  it('is pulled once for all players', async () => {
    const sources: Still[] = [];
    const remotes = new Remotes({
      connect: () => {
        sources.push(new Still());
        return sources.at(-1)!;
      },
    });
    const [a, b] = await Promise.all([remotes.open('mms://a/x', STAYS), remotes.open('mms://a/x', STAYS)]);
    expect(a).toBe(b);
    expect(sources).toHaveLength(1);
    expect(a.header?.streams).toHaveLength(2);
    await remotes.close();
    expect(sources[0]!.closed).toBe(true);
    expect(remotes.size).toBe(0);
  });

  it('is released some time after its last player', async () => {
    const source = new Still();
    const remotes = new Remotes({ connect: () => source });
    const broadcast = await remotes.open('mms://a/x', STAYS);
    const player = broadcast.join(new FakePlayer(), EVERY_STREAM, textWire());
    remotes.sweep(Date.now() + 60_000);
    expect(source.closed).toBe(false);
    broadcast.leave(player);
    remotes.sweep(Date.now() + 60_000 + 31_000);
    expect(source.closed).toBe(true);
    await remotes.close();
  });

  it('reports why it is unavailable, and may be tried again', async () => {
    const gone = new WmError('WM_UNREACHABLE', 'a:1 cannot be reached.');
    const warnings: string[] = [];
    const remotes = new Remotes({
      onWarning: (text) => warnings.push(text),
      connect: () => ({
        [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(gone) }),
        close: async () => {},
      }),
    });
    await expect(remotes.open('mms://a/x', STAYS)).rejects.toBe(gone);
    expect(warnings).toEqual(['mms://a/x: a:1 cannot be reached.']);
    expect(remotes.size).toBe(0);
    await remotes.close();
  });

  it('is waited for only while the player is there', async () => {
    const remotes = new Remotes({ connect: () => new Still(false) });
    const player = new AbortController();
    const gone = remotes.open('mms://a/x', player.signal);
    const other = remotes.open('mms://a/x', STAYS);
    player.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    expect(remotes.size).toBe(1);
    await remotes.close();
    await expect(other).rejects.toThrow('delivered nothing');
    await expect(remotes.open('mms://a/x', player.signal)).rejects.toThrow('gone');
    expect(remotes.size).toBe(0);
  });

  it('is limited in number', async () => {
    const remotes = new Remotes({ connect: () => new Still(), maxRemotes: 1 });
    await remotes.open('mms://a/x', STAYS);
    await expect(remotes.open('mms://a/y', STAYS)).rejects.toBeInstanceOf(WmError);
    await remotes.close();
  });
});
