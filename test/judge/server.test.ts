import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brokenRules, countOutcomes, type JudgeReport } from '../../src/judge/report.js';
import { judgeServer } from '../../src/judge/server.js';
import { ArchiveSink } from '../../src/media/archive.js';
import { pump } from '../../src/media/pump.js';
import { defaultConfig } from '../../src/server/config.js';
import { MediaServer } from '../../src/server/server.js';
import { faultTable } from '../../src/testing/fault-plan.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';
import { slowness } from '../support/patience.js';
import { CHANGES, FAULTS } from './breaches.js';
import { closeProxies, proxyWith } from './proxy.js';
import { runEach } from './repeat.js';

const folder = mkdtempSync(join(tmpdir(), 'wmcast-judge-'));
const closing: Array<() => Promise<unknown>> = [];

beforeAll(async () => {
  await pump(new SyntheticSource({ duration: 12 }), [new ArchiveSink(join(folder, 'film.asf'))]);
});

afterAll(async () => {
  closeProxies();
  await Promise.all(closing.map((close) => close()));
  rmSync(folder, { recursive: true, force: true });
});

async function serverWith(faults?: string): Promise<number> {
  const config = { ...defaultConfig(), host: '127.0.0.1', httpPort: 0, content: { folder } };
  const server = await MediaServer.start({ ...config, ...(faults !== undefined && { faults }) });
  closing.push(() => server.close());
  return server.ports.http!;
}

const judged = async (port: number, play = 5_000) =>
  judgeServer(`mmsh://127.0.0.1:${port}/film.asf`, { play, answer: 3_000 });

const broken = (report: JudgeReport, strict = false) => brokenRules(report, strict).map(({ rule }) => rule);

/** Faults that only a push can commit: test/judge/encoder.test.ts. */
const OF_PUSHES = ['header'];

interface Judged {
  readonly what: string;
  readonly missing: readonly string[];
  readonly rules: readonly string[];
}

const all: { faults: Judged[]; changes: Judged[]; good: JudgeReport | undefined } = {
  faults: [],
  changes: [],
  good: undefined,
};

const isFound = ({ missing }: Judged) => missing.length === 0;

/** Rules about requests, which faults of packets leave alone. */
const QUIET = ['answers', 'head-without-body', 'unknown-path', 'log-confirmed', 'pipeline-test'];
const isAboutPackets = ({ what }: Judged) => !/^(?:refuse|cut|slow|stall)/.test(what);
const wronglyFound = (judged: Judged) =>
  isAboutPackets(judged) ? judged.rules.filter((rule) => QUIET.includes(rule)) : [];

beforeAll(async () => {
  const port = await serverWith();
  const result = (what: string, expected: readonly string[], rules: readonly string[]) => {
    return { what, missing: expected.filter((rule) => !rules.includes(rule)), rules };
  };
  const fault = async ([name, expected]: (typeof FAULTS)[number]) =>
    result(name, expected, broken(await judged(await serverWith(`${name},seed=3`))));
  const change = async ([what, rewrite, expected]: (typeof CHANGES)[number]) =>
    result(what, expected, broken(await judged(await proxyWith(port, { server: rewrite }), 1_500), true));
  all.faults = await runEach(FAULTS, fault, (each) => isFound(each) && wronglyFound(each).length === 0);
  all.changes = await runEach(CHANGES, change, isFound);
  const isGood = ({ rules }: JudgeReport) => rules.every(({ outcome }) => outcome === 'kept');
  [all.good] = await runEach([port], (each) => judged(each), isGood);
}, 300_000 * slowness());

describe('the judge of servers', () => {
  it('finds every fault that a server commits on purpose, and no other', () => {
    expect(all.faults.filter((each) => !isFound(each))).toEqual([]);
    for (const judged of all.faults) expect([judged.what, wronglyFound(judged)]).toEqual([judged.what, []]);
  });

  it('knows every fault of the table', () => {
    const known = new Set([...FAULTS.map(([fault]) => fault.split('=')[0]), ...OF_PUSHES]);
    expect([...known].sort()).toEqual(Object.keys(faultTable).sort());
  });

  it('finds every change of what a server should send', () => {
    expect(all.changes.filter((each) => !isFound(each))).toEqual([]);
  });

  it('finds nothing in a good server, and tests every rule', () => {
    const report = all.good!;
    const untested = report.rules.filter(({ outcome }) => outcome === 'untested');
    expect({ broken: broken(report), untested }).toEqual({ broken: [], untested: [] });
    expect(report.program).toMatch(/^Cougar\//);
    expect(countOutcomes(report).kept).toBeGreaterThan(60);
  });
});
