import { readFileSync } from 'node:fs';
import { SaxesParser } from 'saxes';
import { ENCODER_RULES } from '../../src/judge/encoder-rules.js';
import { PLAYER_RULES } from '../../src/judge/player-rules.js';
import { brokenRules, type JudgeReport, reportJunit, reportText } from '../../src/judge/report.js';
import { applyRules, each, type Rule } from '../../src/judge/rule.js';
import { ALL_SERVER_RULES } from '../../src/judge/server.js';

const rule = (id: string, level: 'must' | 'should', check: Rule<number>['check']): Rule<number> => {
  return { id, section: 'MS-WMSP 1.2.3', level, says: `${id} <is> "so".`, check };
};

const RULES: readonly Rule<number>[] = [
  rule('kept', 'must', () => []),
  rule('broken', 'must', (n) =>
    each(Array.from({ length: n }), 'none', (_, at) => ({ seen: `\u001b[2J${at}`, expected: 'x', where: 'a & b' })),
  ),
  rule('advised', 'should', () => [{ seen: 'y'.repeat(500), expected: 'z' }]),
  rule('untested', 'must', () => ({ untested: 'there was <nothing>' })),
];

const report = (): JudgeReport => ({
  role: 'server',
  url: 'mmsh://h/x',
  program: 'Cougar/9.0',
  rules: applyRules(RULES, 9),
  duration: 1500,
});

describe('a report of a judge', () => {
  it('keeps the first findings of a rule and counts the others', () => {
    const [, broken, advised] = report().rules;
    expect(broken).toMatchObject({ outcome: 'broken', count: 9, findings: [{ seen: '?[2J0' }, {}, {}, {}, {}] });
    expect(broken!.findings).toHaveLength(5);
    expect(advised!.findings[0]!.seen).toHaveLength(201);
  });

  it('as text has every broken rule, and with -v all of them', () => {
    const short = reportText(report(), false);
    expect(short).toMatch(/^BROKEN {4}broken \(MS-WMSP 1\.2\.3, must\): broken <is> "so"\.$/m);
    expect(short).toMatch(/^ {12}a & b: \?\[2J0; expected: x$/m);
    expect(short).toMatch(/… and 4 more/);
    expect(short).toMatch(/1 rules kept, 2 broken, 1 not tested: server Cougar\/9\.0 at mmsh:\/\/h\/x$/);
    expect(short).not.toMatch(/^kept {6}/m);
    expect(reportText(report(), true)).toMatch(/^untested {2}untested \(.*\): there was <nothing>$/m);
  });

  it('says which rules fail, and with --strict also what should be so', () => {
    expect(brokenRules(report(), false).map(({ rule: id }) => id)).toEqual(['broken']);
    expect(brokenRules(report(), true).map(({ rule: id }) => id)).toEqual(['broken', 'advised']);
  });

  it('as JUnit is well-formed, with a case for each rule', () => {
    const seen: string[] = [];
    const failures: string[] = [];
    const parser = new SaxesParser();
    parser.on('opentag', ({ name, attributes }) => {
      seen.push(name);
      if (name === 'testsuites') expect(attributes).toMatchObject({ tests: '4', failures: '1', skipped: '1' });
      if (name === 'failure') failures.push(String(attributes['message']));
    });
    parser.write(reportJunit(report(), false)).close();
    expect(seen.filter((name) => name === 'testcase')).toHaveLength(4);
    expect(failures).toEqual(['MS-WMSP 1.2.3: broken <is> "so".']);
    expect(reportJunit(report(), true)).toContain('failures="2"');
  });
});

describe('the rules', () => {
  it('are described in the documentation, each with an id of its own', () => {
    const docs = readFileSync(new URL('../../docs/judges.md', import.meta.url), 'utf8');
    for (const { id, section, level, says } of [...ALL_SERVER_RULES, ...PLAYER_RULES, ...ENCODER_RULES]) {
      expect(docs).toContain(`| \`${id}\` | ${section} | ${level} | ${says} |`);
    }
    const ids = ALL_SERVER_RULES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});
