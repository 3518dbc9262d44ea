import type { Command } from 'commander';
import { WmError } from '../errors.js';
import { type Expectation, judge, NEEDS_MEDIA, parseExpectations, type StreamFacts } from '../testing/expect.js';
import { parsedBy } from './program.js';
import type { Reporter } from './reporter.js';

/** The facts that a command is to verify. */
export interface ExpectOptions {
  readonly expect?: readonly Expectation[];
}

/** Adds `--expect`. */
export function addExpectOption(command: Command): Command {
  return command.option(
    '--expect <list>',
    'fail unless the stream is so, for example video=wmv2,frames>=100,gap<2s; see docs/testing.md',
    (text: string, before: readonly Expectation[] = []) => [...before, ...parsedBy(parseExpectations)(text)],
  );
}

/** Rejects expectations that need the media where only a header is read. @throws WmError WM_USAGE */
export function refuseMedia({ expect = [] }: ExpectOptions): void {
  const wrong = expect.find(({ name }) => NEEDS_MEDIA.has(name));
  if (wrong) throw new WmError('WM_USAGE', `--expect ${wrong.text} needs the media, which wmcast pull receives.`);
}

/**
 * Reports each expectation.
 *
 * @throws WmError WM_UNEXPECTED if one is not met
 */
export function checkExpectations({ expect = [] }: ExpectOptions, facts: StreamFacts, reporter: Reporter): void {
  const outcomes = judge(expect, facts);
  for (const outcome of outcomes) reporter.event('expectation', { ...outcome });
  const failed = outcomes.filter(({ met }) => !met);
  if (failed.length === 0) return;
  const list = failed.map(({ expectation, found }) => `${expectation} (${found})`).join(', ');
  throw new WmError('WM_UNEXPECTED', `The stream is not as expected: ${list}.`);
}
