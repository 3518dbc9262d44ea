import { connect } from 'node:net';
import { Command } from 'commander';
import { WmError } from '../errors.js';
import { systemErrorReason } from '../media/system-error.js';
import { CONTROL_COMMANDS } from './control.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

/** How long an input that is switched to may take to open, and with it the answer, in ms. */
const TIMEOUT = 60_000;
/** The longest answer, in characters: the list of all inputs is in it. */
const LONGEST_ANSWER = 16 * 1024 * 1024;

/** Builds `wmcast control`. */
export function controlCommand(): Command {
  const list = Object.entries(CONTROL_COMMANDS).map(([name, what]) => `  ${name.padEnd(16)} ${what}`);
  const command = new Command('control')
    .description('Sends a command to a running wmpush or wmpull-serve that was started with --control.')
    .argument('<socket>', 'the socket that --control names')
    .argument('<command...>', 'what to do')
    .addHelpText(
      'after',
      `\nCommands:\n${list.join('\n')}\n\nExamples:\n  wmcast control /tmp/live.sock next\n  wmcast control /tmp/live.sock TEXT Now playing`,
    );
  return addCommonOptions(command).action((socket: string, words: string[], options: ReporterOptions) =>
    send(socket, words.join(' '), options),
  );
}

async function send(path: string, line: string, options: ReporterOptions): Promise<void> {
  const reporter = new Reporter(options);
  if (/[\r\n]/.test(line)) throw new WmError('WM_USAGE', 'A command is one line.');
  const text = await answerOf(path, line);
  const answer = JSON.parse(text) as { readonly ok?: boolean; readonly error?: string };
  if (!options.quiet || answer.ok !== true) reporter.print(text);
  if (answer.ok !== true) process.exitCode = 1;
}

function answerOf(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    const failed = (reason: string) => {
      socket.destroy();
      reject(new WmError('WM_UNREACHABLE', `Nothing can be controlled at ${path}: ${reason}.`));
    };
    socket.setEncoding('utf8').setTimeout(TIMEOUT, () => failed(`no answer for ${TIMEOUT / 1000} s`));
    socket.on('error', (error) => failed(systemErrorReason(error)));
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (answer.length > LONGEST_ANSWER) failed('the answer is too long');
    });
    socket.on('close', () => {
      const [first = ''] = answer.split('\n');
      if (first.startsWith('{') && first.endsWith('}')) resolve(first);
      else failed('it has ended');
    });
    socket.end(`${line}\n`);
  });
}
