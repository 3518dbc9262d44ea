import { judgeEncoder } from '../../src/judge/encoder.js';
import { ENCODER_RULES } from '../../src/judge/encoder-rules.js';
import { judgePlayer } from '../../src/judge/player.js';
import { PLAYER_RULES } from '../../src/judge/player-rules.js';
import { brokenRules, type JudgeReport } from '../../src/judge/report.js';
import { pull } from '../../src/library/pull.js';
import { push } from '../../src/library/push.js';
import { faultTable } from '../../src/testing/fault-plan.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';
import { PLAYER_CHANGES, PUSH_CHANGES, PUSH_FAULTS } from './breaches.js';
import { closeProxies, proxyWith, type Rewrite } from './proxy.js';
import { runEach } from './repeat.js';

afterAll(closeProxies);

/** Goes to the judge, through a proxy if something is to be changed on the way. */
async function via(url: string, rewrite: Rewrite | undefined): Promise<string> {
  if (!rewrite) return url;
  const { protocol, port, pathname } = new URL(url);
  return `${protocol}//127.0.0.1:${await proxyWith(Number(port), { client: rewrite })}${pathname}`;
}

/** Judges an encoder of our own. */
async function encoder({ faults, rewrite }: { faults?: string; rewrite?: Rewrite } = {}): Promise<JudgeReport> {
  return judgeEncoder({
    wait: 10_000,
    duration: 6_500,
    onReady: (url) => {
      const pushing = async () => {
        const options = {
          source: 'synthetic:duration=5.5,video=80k,audio=16k',
          ...(faults !== undefined && { faults: `${faults},seed=3` }),
        };
        await (await push(await via(url, rewrite), options)).finished;
      };
      pushing().catch(() => {});
    },
  });
}

/** Judges a player of our own. */
async function player(rewrite?: Rewrite): Promise<JudgeReport> {
  return judgePlayer({
    wait: 10_000,
    duration: 4_000,
    source: (entry) => new SyntheticSource({ seed: entry, video: [60_000], audio: 16_000, pace: true }),
    onReady: async (url) => {
      const receiving = pull(await via(url, rewrite), { reconnect: { retries: 0 } });
      receiving.finished.catch(() => {});
    },
  });
}

const broken = (report: JudgeReport) => brokenRules(report, true).map(({ rule }) => rule);

interface Judged {
  readonly what: string;
  readonly missing: readonly string[];
  readonly rules: readonly string[];
}

function judgeEach<T>(
  rows: ReadonlyArray<readonly [what: string, how: T, rules: readonly string[]]>,
  judge: (how: T) => Promise<JudgeReport>,
): Promise<Judged[]> {
  const one = async ([what, how, expected]: (typeof rows)[number]) => {
    const rules = broken(await judge(how));
    return { what, missing: expected.filter((rule) => !rules.includes(rule)), rules };
  };
  return runEach(rows, one, ({ missing }) => missing.length === 0);
}

/** Judges one that breaks no rule. @param untested the rules that its session does not meet */
async function judgeGood(judge: () => Promise<JudgeReport>, untested: readonly string[]): Promise<JudgeReport> {
  const isGood = (report: JudgeReport) => broken(report).length === 0 && `${untestedIn(report)}` === `${untested}`;
  const [good] = await runEach([undefined], judge, isGood);
  return good!;
}

const missed = (judged: readonly Judged[]) => judged.filter(({ missing }) => missing.length > 0);
const untestedIn = ({ rules }: JudgeReport) =>
  rules.filter(({ outcome }) => outcome === 'untested').map(({ rule }) => rule);

const NOT_MET_BY_ENCODERS = ['change-reason', 'header-needed', 'one-connection'];
const NOT_MET_BY_PLAYERS = ['keep-alive-form'];

describe('the judge of encoders', () => {
  let faults: Judged[] = [];
  let changes: Judged[] = [];
  let good: JudgeReport;

  beforeAll(async () => {
    const rows = PUSH_FAULTS.map(([fault, rules]) => [fault, fault, rules] as const);
    faults = await judgeEach(rows, (fault) => encoder({ faults: fault }));
    changes = await judgeEach(PUSH_CHANGES, (rewrite) => encoder({ rewrite }));
    good = await judgeGood(encoder, NOT_MET_BY_ENCODERS);
  }, 180_000);

  it('finds every fault that a push commits on purpose', () => {
    expect(missed(faults)).toEqual([]);
    const known = new Set([...PUSH_FAULTS.map(([fault]) => fault.split('=')[0]), 'refuse', 'flags', 'locations']);
    expect([...known].sort()).toEqual(Object.keys(faultTable).sort());
  });

  it('finds every change of what an encoder should send', () => expect(missed(changes)).toEqual([]));

  it('finds nothing in a good encoder', () => {
    expect(broken(good)).toEqual([]);
    expect(untestedIn(good)).toEqual(NOT_MET_BY_ENCODERS);
    expect(good.program).toMatch(/^WMEncoder\//);
  });

  it('says so if nobody connects', async () => {
    await expect(judgeEncoder({ wait: 50 })).rejects.toMatchObject({
      code: 'WM_UNREACHABLE',
      message: expect.stringMatching(/^No encoder connected to http:\/\/127\.0\.0\.1:\d+\/judge within 0\.05 s\.$/),
    });
  });
});

describe('the judge of players', () => {
  let changes: Judged[] = [];
  let good: JudgeReport;

  beforeAll(async () => {
    changes = await judgeEach(PLAYER_CHANGES, player);
    good = await judgeGood(player, NOT_MET_BY_PLAYERS);
  }, 180_000);

  it('finds every change of what a player should send', () => expect(missed(changes)).toEqual([]));

  it('finds nothing in a good player', () => {
    expect(broken(good)).toEqual([]);
    expect(untestedIn(good)).toEqual(NOT_MET_BY_PLAYERS);
    expect(good.program).toMatch(/^NSPlayer\//);
  });
});

describe('the rules', () => {
  it.each([
    ['encoders', ENCODER_RULES],
    ['players', PLAYER_RULES],
  ])('of %s have ids of their own', (_, rules) => {
    const ids = rules.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
