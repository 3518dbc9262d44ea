import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { RuleResult } from './rule.js';

/** Rules that a busy host seems to see broken. */
const OF_TIME = new Set(['keeps-pace', 'no-silence', 'answers', 'entry-followed', 'log-sent']);
/** If this process itself stood still for longer, in ms, times mean nothing. */
const MAX_LAG = 1_500;

/** Watches whether this process itself is delayed. @returns a function that ends that and excuses rules about time */
export function watchLag(): (results: readonly RuleResult[]) => RuleResult[] {
  const monitor = monitorEventLoopDelay({ resolution: 20 });
  monitor.enable();
  return (results) => {
    monitor.disable();
    const lag = monitor.max / 1e6;
    if (lag <= MAX_LAG) return [...results];
    const reason = `this host was too busy: the judge itself was delayed by ${Math.round(lag)} ms`;
    return results.map((result) =>
      result.outcome === 'broken' && OF_TIME.has(result.rule)
        ? { ...result, outcome: 'untested', findings: [], count: 0, reason }
        : result,
    );
  };
}
