import { Command } from 'commander';
import { stringify } from 'yaml';
import { WmError } from '../errors.js';
import { contradictionsIn } from '../server/config-check.js';
import { type LoadedConfig, loadConfig, masked, unusablePlaces } from '../server/config-file.js';
import { problemLine, YamlError, type YamlProblem } from '../yaml-file.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

/** Builds `wmcast config` with its sub-commands. */
export function configCommand(): Command {
  const config = new Command('config').description(
    'Checks and shows configurations of wmcast serve; wmcast init writes one to begin with.',
  );
  config.addCommand(
    addCommonOptions(config.createCommand('check'))
      .description(
        'find all mistakes in a configuration, also files that are missing and folders that cannot be written',
      )
      .argument('<file.yaml>')
      .action((file: string, options: ReporterOptions) => check(file, options)),
  );
  config.addCommand(
    addCommonOptions(config.createCommand('print'))
      .description('print what is in effect, with defaults filled in, absolute paths and passwords hidden')
      .argument('<file.yaml>')
      .action((file: string, options: ReporterOptions) => print(file, options)),
  );
  return config.addHelpText('after', '\nExamples:\n  wmcast config check serve.yaml\n  wmcast config print serve.yaml');
}

async function check(file: string, options: ReporterOptions): Promise<void> {
  const reporter = new Reporter(options);
  const problems = await problemsIn(file);
  for (const problem of problems) {
    reporter.event('problem', { file, ...problem });
    if (!reporter.json) reporter.print(problemLine(file, problem));
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'one mistake' : `${problems.length} mistakes`;
    throw new WmError('WM_CONFIG', `${file} has ${count}.`, { hint: 'Correct them at the file and line above.' });
  }
  reporter.info(`${file} is in order.`);
  reporter.event('done', { file });
}

/** @throws WmError WM_CONFIG if the file cannot be read */
async function problemsIn(file: string): Promise<readonly YamlProblem[]> {
  let loaded: LoadedConfig;
  try {
    loaded = await loadConfig(file);
  } catch (error) {
    if (error instanceof YamlError) return error.problems;
    throw error;
  }
  const { config, problemAt } = loaded;
  const found = [...contradictionsIn(config), ...(await unusablePlaces(config))];
  return found
    .map(({ path, message }) => problemAt(path, message))
    .sort((a, b) => a.line - b.line || a.column - b.column);
}

async function print(file: string, options: ReporterOptions): Promise<void> {
  const reporter = new Reporter(options);
  const config = masked((await loadConfig(file)).config);
  if (reporter.json) reporter.event('config', { file, config });
  else reporter.print(stringify(config).trimEnd());
}
