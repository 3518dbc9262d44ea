import { writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';
import { commentedConfig } from '../server/config-text.js';
import { addForceOption, type OutputOptions, refuseExisting } from './output-file.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

const DEFAULT_FILE = 'serve.yaml';

/** Builds `wmcast init`. */
export function initCommand(): Command {
  const command = new Command('init')
    .description('Writes a configuration for wmcast serve, with every field, its default and a description.')
    .argument('[file]', 'file to write; - for standard output', DEFAULT_FILE);
  return addCommonOptions(addForceOption(command))
    .addHelpText('after', '\nExamples:\n  wmcast init\n  wmcast init -')
    .action((file: string, options: OutputOptions & ReporterOptions) => init(file, options));
}

async function init(file: string, options: OutputOptions & ReporterOptions): Promise<void> {
  const reporter = new Reporter(options);
  const text = commentedConfig();
  if (file === '-') {
    process.stdout.write(text);
    return;
  }
  await refuseExisting(file, options);
  try {
    await writeFile(file, text, { flag: options.force ? 'w' : 'wx' });
  } catch (error) {
    throw new WmError('WM_DISK', `${file} cannot be written: ${systemErrorReason(error)}.`, { cause: error });
  }
  reporter.info(`Wrote ${file}. Start the server with: wmcast serve --config ${file}`);
  reporter.event('done', { file });
}
