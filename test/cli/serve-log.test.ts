import { mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { RepeatedLines } from '../../src/cli/repeated-lines.js';
import { Reporter } from '../../src/cli/reporter.js';
import { parseLogLevels, ServeLog, type ServeLogOptions } from '../../src/cli/serve-log.js';
import { until } from '../support/until.js';

/** A reporter that keeps the lines of the log. */
class Lines extends Reporter {
  readonly lines: string[] = [];

  override log(line: string): void {
    this.lines.push(line.trimEnd());
  }

  override warn(line: string): void {
    this.lines.push(`WARNING ${line}`);
  }
}

function opened(options: Partial<ServeLogOptions> = {}) {
  const reporter = new Lines();
  return { log: new ServeLog({ logFormat: 'text', ...options }, reporter), lines: reporter.lines };
}

describe('the log of wmcast serve', () => {
  it('has a level for each of its parts', () => {
    const { log, lines } = opened({ logLevel: parseLogLevels('error,players=info, reports=debug') });
    log.info('players', {}, 'one plays');
    log.info('points', {}, 'a point');
    log.debug('reports', {}, 'a report');
    log.debug('players', {}, 'more');
    log.warn('careful');
    log.error(new Error('broken'));
    expect(lines.map((line) => line.replace(/^\[.*?\] /, ''))).toEqual([
      'INFO: one plays',
      'DEBUG: a report',
      expect.stringMatching(/^ERROR: internal error: broken/),
    ]);
    expect([log.isEnabled('reports', 'debug'), log.isEnabled('players', 'debug')]).toEqual([true, false]);
    log.close();
  });

  it('shows info by default, everything with -v, and errors with -q', () => {
    for (const [options, count] of [
      [{}, 2],
      [{ verbose: true }, 3],
      [{ quiet: true }, 0],
      [{ quiet: true, logLevel: parseLogLevels('points=info') }, 1],
      [{ logLevel: parseLogLevels('silent') }, 0],
    ] as const) {
      const { log, lines } = opened({ ...options, logFormat: 'json' });
      log.info('points', { point: '/live' }, 'a point');
      log.warn('careful');
      log.debug('reports', {}, 'a report');
      expect(lines).toHaveLength(count);
      if (count > 0) expect(JSON.parse(lines[0]!)).toMatchObject({ room: 'points', point: '/live', msg: 'a point' });
      log.close();
    }
  });

  it.each(['loud', 'players=loud', 'kitchen=info', 'players', '', 'players=', '=info'])('has no level %j', (text) => {
    expect(() => parseLogLevels(text)).toThrow(/is no level\. It takes debug, info/);
  });

  it('writes a warning that comes again once, and then how often', async () => {
    const { log, lines } = opened();
    for (let time = 0; time < 5; time++) log.warn('careful');
    log.warn('something else');
    expect(lines).toHaveLength(2);
    log.close();
    expect(lines.map((line) => line.replace(/^\[.*?\] /, ''))).toEqual([
      'WARN: careful',
      'WARN: something else',
      'WARN: careful (4 more times)',
    ]);
  });

  it('goes to a file, which can be opened again after a rotation', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-log-'));
    const file = join(folder, 'new/serve.log');
    const { log, lines } = opened({ logFile: file });
    log.info('points', {}, 'before');
    await rename(file, join(folder, 'old.log'));
    log.reopen();
    await until('the file to be there again', () =>
      readFile(file).then(
        () => true,
        () => false,
      ),
    );
    log.info('points', {}, 'after');
    log.close();
    expect(await readFile(join(folder, 'old.log'), 'utf8')).toMatch(/INFO: before\n$/);
    expect(await readFile(file, 'utf8')).toMatch(/INFO: after\n$/);
    expect(lines).toEqual([]);
    await rm(folder, { recursive: true });
  });

  it('says that its file cannot be written: at the start, or once while it runs', async () => {
    expect(() => opened({ logFile: '/dev/null/x' })).toThrow(/The log \/dev\/null\/x cannot be written: /);
    const { log, lines } = opened({ logFile: '/dev/full' });
    for (let line = 0; line < 3; line++) log.info('points', {}, 'lost');
    await until('a warning', () => lines.length > 0);
    expect(lines).toEqual(['WARNING The log /dev/full cannot be written: the disk is full (ENOSPC).']);
  });
});

describe('repeated lines', () => {
  it('are counted for a while, and written again', async () => {
    const written: string[] = [];
    const repeats = new RepeatedLines(20);
    for (let time = 0; time < 3; time++) repeats.line('a', (text) => written.push(text));
    await until('the count', () => written.length === 2);
    expect(written).toEqual(['a', 'a (2 more times)']);
    const forgotten = performance.now() + 60;
    await until('two more windows to pass', () => performance.now() > forgotten);
    repeats.line('a', (text) => written.push(text));
    expect(written.at(-1)).toBe('a');
    repeats.close();
  });

  it('are compared with no more than 1000 others', () => {
    const written: string[] = [];
    const repeats = new RepeatedLines();
    for (let round = 0; round < 2; round++) {
      for (let line = 0; line < 1_500; line++) repeats.line(String(line), (text) => written.push(text));
    }
    expect(written).toHaveLength(2_000);
    repeats.close();
  });
});
