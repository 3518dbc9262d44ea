import type { RuleResult } from './rule.js';

/** What is judged. @public */
export type JudgedRole = 'server' | 'player' | 'encoder';

/** What a judge found. @public */
export interface JudgeReport {
  readonly role: JudgedRole;
  /** The URL of the session. */
  readonly url: string;
  /** What the program calls itself; undefined if it does not. */
  readonly program?: string | undefined;
  readonly rules: readonly RuleResult[];
  /** In ms. */
  readonly duration: number;
}

/** Returns the rules that were broken. @param strict true to count those that only should be kept */
export function brokenRules({ rules }: JudgeReport, strict: boolean): RuleResult[] {
  return rules.filter(({ outcome, level }) => outcome === 'broken' && (strict || level === 'must'));
}

/** Counts outcomes. */
export function countOutcomes({ rules }: JudgeReport): Record<RuleResult['outcome'], number> {
  const counts = { kept: 0, broken: 0, untested: 0 };
  for (const { outcome } of rules) counts[outcome]++;
  return counts;
}

/** Writes a report for people. @param verbose true to list rules that were kept, and why others were not tested */
export function reportText(report: JudgeReport, verbose: boolean): string {
  const lines: string[] = [];
  for (const { rule, section, level, says, outcome, findings, count, reason } of report.rules) {
    if (outcome === 'kept' && verbose) lines.push(`kept      ${rule} (${section})`);
    if (outcome === 'untested' && verbose) lines.push(`untested  ${rule} (${section}): ${reason}`);
    if (outcome !== 'broken') continue;
    lines.push(`${level === 'must' ? 'BROKEN  ' : 'advised '}  ${rule} (${section}, ${level}): ${says}`);
    for (const { seen, expected, where } of findings) {
      lines.push(`            ${where === undefined ? '' : `${where}: `}${seen}; expected: ${expected}`);
    }
    if (count > findings.length) lines.push(`            … and ${count - findings.length} more`);
  }
  const { kept, broken, untested } = countOutcomes(report);
  const who = report.program === undefined ? report.role : `${report.role} ${report.program}`;
  lines.push(`${kept} rules kept, ${broken} broken, ${untested} not tested: ${who} at ${report.url}`);
  return lines.join('\n');
}

/** Writes a report as JUnit XML, which continuous integration reads: a test case for each rule. */
export function reportJunit(report: JudgeReport, strict: boolean): string {
  const failures = new Set(brokenRules(report, strict));
  const skipped = report.rules.filter(({ outcome }) => outcome === 'untested');
  const time = (report.duration / 1000).toFixed(3);
  const counts = `tests="${report.rules.length}" failures="${failures.size}" errors="0" skipped="${skipped.length}" time="${time}"`;
  const cases = report.rules.map((result) => {
    const { rule, section, says, outcome, reason } = result;
    const head = `    <testcase classname="${escaped(`wmcast.judge.${report.role}`)}" name="${escaped(`${rule}: ${says}`)}" time="0"`;
    const found = findingLines(result);
    if (failures.has(result)) {
      const message = escaped(`${section}: ${says}`);
      return `${head}>\n      <failure type="${result.level}" message="${message}">${escaped(found)}</failure>\n    </testcase>`;
    }
    if (outcome === 'untested') return `${head}>\n      <skipped message="${escaped(reason ?? '')}"/>\n    </testcase>`;
    // A rule that only should be kept is no failure, but is not hidden either.
    if (outcome === 'broken') return `${head}>\n      <system-out>${escaped(found)}</system-out>\n    </testcase>`;
    return `${head}/>`;
  });
  const name = escaped(`wmcast judge ${report.role} ${report.url}`);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="${name}" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function findingLines({ findings, count, section }: RuleResult): string {
  const lines = findings.map(
    ({ seen, expected, where }) => `${where === undefined ? '' : `${where}: `}seen: ${seen}; expected: ${expected}`,
  );
  if (count > findings.length) lines.push(`and ${count - findings.length} more`);
  return [section, ...lines].join('\n');
}

/** Escapes a text for XML 1.0, which has no place for control characters. */
function escaped(text: string): string {
  return text
    .replace(/[^\t\n\x20-\ud7ff\ue000-\ufffd]/g, '?')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;')
    .replace(/\n/g, '&#10;');
}
