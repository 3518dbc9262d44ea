import type { Command } from 'commander';
import { WmError } from '../errors.js';
import { type FaultName, type FaultPlan, faultTable, parseFaults } from '../testing/fault-plan.js';

/** The faults that a command is to commit. */
export interface FaultOptions {
  /** As {@link parseFaults} takes them. */
  readonly fault?: string | undefined;
}

/** Adds `--fault`. */
export function addFaultOption(command: Command): Command {
  return command.option(
    '--fault <list>',
    'faults to commit on purpose, for example lose=5%,seed=7; see docs/testing.md',
    (list: string, before?: string) => (before === undefined ? list : `${before},${list}`),
  );
}

/**
 * Returns the plan of the option.
 *
 * @param unfit the faults that this command cannot commit, with the reason
 * @throws WmError WM_USAGE
 */
export function faultsOf({ fault }: FaultOptions, unfit: Partial<Record<FaultName, string>>): FaultPlan | undefined {
  if (fault === undefined) return undefined;
  const plan = parseFaults(fault);
  for (const { name } of plan.faults) {
    const reason = unfit[name];
    if (reason !== undefined) throw new WmError('WM_USAGE', `--fault ${name} has no effect here: ${reason}.`);
  }
  return plan;
}

/** For commands that answer requests: packets are those that each client gets, which has one header. */
export const UNFIT_FOR_SERVERS = { header: 'another header is for the whole stream; use it with wmpush' } as const;
/** For commands that push. */
export const UNFIT_FOR_PUSHES = {
  refuse: 'a push answers no requests',
  flags: 'the packets of a push have no AFFlags',
  locations: 'the packets of a push have no LocationId',
} as const;
/** For a relay to something else than a server. */
export const UNFIT_FOR_FILES: Partial<Record<FaultName, string>> = Object.fromEntries(
  Object.entries(faultTable)
    .filter(([, { hook }]) => hook !== 'packets')
    .map(([name]) => [name, 'it is about connections']),
);
