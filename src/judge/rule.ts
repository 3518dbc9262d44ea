/** A place where a rule was broken. @public */
export interface Finding {
  readonly seen: string;
  readonly expected: string;
  /** The request or the connection that it was seen in. */
  readonly where?: string | undefined;
}

/** What a rule says of an observation: where it is broken, or why it could not be tested. */
export type Verdict = readonly Finding[] | { readonly untested: string };

/** One rule of a protocol, for what was observed of a program. */
export interface Rule<T> {
  readonly id: string;
  /** Specification and section, such as `MS-WMSP 2.2.3.1.2`. */
  readonly section: string;
  readonly level: 'must' | 'should';
  readonly says: string;
  check(observed: T): Verdict;
}

/** How a rule fared. @public */
export interface RuleResult {
  readonly rule: string;
  readonly section: string;
  readonly level: 'must' | 'should';
  readonly says: string;
  readonly outcome: 'kept' | 'broken' | 'untested';
  /** The first places where it was broken. */
  readonly findings: readonly Finding[];
  /** The number of all places. */
  readonly count: number;
  /** Why it was not tested. */
  readonly reason?: string | undefined;
}

/** More places of one rule say nothing new. */
const MAX_FINDINGS = 5;
/** What is repeated of the other side, in characters. */
const MAX_TEXT = 200;

/** Applies rules to an observation. A rule that fails itself, on an observation that nobody thought of, is untested. */
export function applyRules<T>(rules: readonly Rule<T>[], observed: T): RuleResult[] {
  return rules.map(({ id, section, level, says, check }) => {
    const verdict = check(observed);
    const rule = { rule: id, section, level, says };
    if ('untested' in verdict) {
      return { ...rule, outcome: 'untested', findings: [], count: 0, reason: verdict.untested };
    }
    const findings = verdict.slice(0, MAX_FINDINGS).map(({ seen, expected, where }) => ({
      seen: shown(seen),
      expected: shown(expected),
      ...(where !== undefined && { where: shown(where) }),
    }));
    return { ...rule, outcome: findings.length > 0 ? 'broken' : 'kept', findings, count: verdict.length };
  });
}

/** Makes a text from the network fit for a terminal, a line of JSON and XML. */
function shown(text: string): string {
  const plain = text.replace(/[^\x20-\x7e\u00a1-\ud7ff]/g, '?');
  return plain.length <= MAX_TEXT ? plain : `${plain.slice(0, MAX_TEXT)}…`;
}

/** Returns a verdict that is untested if there is nothing to look at. */
export function each<E>(
  items: readonly E[],
  untested: string,
  find: (item: E, index: number) => Finding | readonly Finding[] | undefined,
): Verdict {
  if (items.length === 0) return { untested };
  return items.flatMap((item, index) => find(item, index) ?? []);
}
