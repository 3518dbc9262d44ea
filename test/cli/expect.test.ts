import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { probeCommand } from '../../src/cli/probe.js';
import { pullCommand } from '../../src/cli/pull.js';
import { relayCommand } from '../../src/cli/relay.js';
import type { AsfEvent } from '../../src/media/events.js';
import { expectationTable, judge, parseExpectations, StreamFacts } from '../../src/testing/expect.js';
import { parseFaults } from '../../src/testing/fault-plan.js';
import { faultySource } from '../../src/testing/packet-faults.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';
import { newFolder, removeFolders, runProgram } from './run.js';

afterAll(removeFolders);

const STREAM = 'synthetic:duration=4,commands,title=A test';

/** Returns the expectations that a stream does not meet. */
async function unmet(list: string, faults?: string, clock: () => number = () => 0): Promise<string[]> {
  const facts = new StreamFacts(clock);
  const source = new SyntheticSource({ duration: 4, commands: true, title: 'A test' });
  const events: AsyncIterable<AsfEvent> = faults ? faultySource(source, parseFaults(faults)) : source;
  for await (const event of events) facts.take(event);
  return judge(parseExpectations(list), facts)
    .filter(({ met }) => !met)
    .map(({ expectation, found }) => `${expectation}: ${found}`);
}

describe('expectations', () => {
  it('of a sound stream are met, whatever the operator', async () => {
    const list =
      'video=wmv2,audio=wma2,audio=WMA 2,audio!=mp3,size=640x360,title=A test,live=yes,streams=3,headers=1,bitrate>300k,packets>100,damaged=0,' +
      'frames=100,keyframes=2,objects>=186,commands=0,duration>3.8,duration<=4s,rate<400k,gap<1ms,jump<500ms,start<1,end=clean';
    expect(await unmet(list)).toEqual([]);
    const names = parseExpectations(list).map(({ name }) => name);
    expect([...new Set(names)].sort()).toEqual(Object.keys(expectationTable).sort());
  });

  it.each([
    ['lose=1/4', 'frames=100', /^frames=100: frames is \d\d$/],
    ['corrupt=1/4', 'damaged=0', /^damaged=0: damaged is \d+$/],
    ['jump=50:10s', 'jump<1s', /^jump<1s: jump is 10\./],
    ['header=50', 'headers=1', /^headers=1: headers is 3$/],
    ['duplicate=1/4', 'objects<=188', /^objects<=188/],
  ])('find the fault %s', async (faults, list, message) => {
    expect(await unmet(list, faults)).toEqual([expect.stringMatching(message)]);
  });

  it('measure gaps by the clock', async () => {
    let now = 0;
    // Every packet takes longer than the one before.
    let step = 0;
    const clock = () => (now += step += 10);
    expect(await unmet('gap<500ms', undefined, clock)).toEqual([expect.stringMatching(/^gap<500ms: gap is 1\./)]);
  });

  it.each([
    ['frames', /"frames" is not understood: write for example frames>=100; known are video/],
    ['toString=1', /is not understood/],
    ['frames>x', /"x" is not a number of things/],
    ['gap<2M', /"2M" is not a number of seconds/],
    ['video<wmv2', /can only be = or !=/],
  ])('refuse %s', (text, message) => {
    expect(() => parseExpectations(text)).toThrow(
      expect.objectContaining({ code: 'WM_USAGE', message: expect.stringMatching(message) }),
    );
  });

  it('are described in the documentation', () => {
    const docs = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');
    for (const [name, [, meaning]] of Object.entries(expectationTable))
      expect(docs).toContain(`| \`${name}\` | ${meaning} |`);
  });
});

describe('--expect', () => {
  it('makes pull and probe fail with 1, and says what was found', async () => {
    const folder = newFolder();
    const [good, bad] = [join(folder, 'good.asf'), join(folder, 'bad.asf')];
    const pulled = await runProgram(
      pullCommand(),
      STREAM,
      '-o',
      good,
      '--expect',
      'video=wmv2,frames>=100,gap<2s',
      '--expect',
      'end=clean',
    );
    expect(pulled.exitCode).toBe(0);
    await runProgram(relayCommand(), STREAM, bad, '--fault', 'corrupt=1/5');
    expect((await runProgram(probeCommand(), good, '--expect', 'damaged=0,frames=100')).exitCode).toBe(0);
    const { exitCode, log, events } = await runProgram(
      probeCommand(),
      bad,
      '--json',
      '--expect',
      'damaged=0,video=wmv2',
    );
    expect(exitCode).toBe(1);
    expect(log).toMatch(/not as expected: damaged=0 \(damaged is \d+\)/);
    expect(events.filter(({ event }) => event === 'expectation').map(({ met }) => met)).toEqual([false, true]);
  });

  it('that needs the media is refused by a probe of a server', async () => {
    const { exitCode, log } = await runProgram(probeCommand(), 'http://127.0.0.1:1/x', '--expect', 'frames>1');
    expect(exitCode).toBe(2);
    expect(log).toMatch(/needs the media/);
  });
});
