import { Command } from 'commander';
import type { ProcessView } from '../server/workers/fleet.js';
import { type AdminOption, adminOption, ask } from './admin-request.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface UpgradeOptions extends ReporterOptions, AdminOption {
  readonly list?: boolean;
}

/** How long the new processes may take to start, one after the other, in ms. */
const TIMEOUT = 280_000;

/** Builds `wmcast upgrade`. */
export function upgradeCommand(): Command {
  const command = new Command('upgrade')
    .description(
      'Has a running server start new processes for its players, with the version that is installed now. Players stay where they are until they leave.',
    )
    .option('--list', 'only list the processes of the server')
    .addOption(adminOption('the server'))
    .addHelpText(
      'after',
      '\nExamples:\n  wmcast upgrade\n  wmcast upgrade --list\n\nInstall the new version first. SIGUSR2 to the main process does the same.',
    );
  return addCommonOptions(command).action((options: UpgradeOptions) => upgrade(options));
}

async function upgrade(options: UpgradeOptions): Promise<void> {
  const reporter = new Reporter(options);
  const [path, method] = options.list ? (['/api/processes', 'GET'] as const) : (['/api/upgrade', 'POST'] as const);
  const { processes } = (await ask(options, path, method, TIMEOUT)) as { processes: readonly ProcessView[] };
  for (const each of processes) {
    if (options.json) {
      reporter.event('process', { ...each });
      continue;
    }
    const { number, pid, version, state, players, connections } = each;
    const name = number === 0 ? 'main process' : `worker ${number}`;
    reporter.print(`${name} (${pid}): wmcast ${version}, ${state}, ${players} players, ${connections} connections`);
  }
}
