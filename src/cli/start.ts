import { firstFfmpeg } from '../capture/version.js';
import { packageVersion } from '../server/version.js';

/**
 * Starts a program. Answers `--version` as the only argument itself, without loading the commands.
 *
 * @param load returns the program, which parses the arguments of the process and ends it
 */
export async function start(load: () => Promise<(argv: readonly string[]) => Promise<never>>): Promise<void> {
  const [option, ...more] = process.argv.slice(2);
  if ((option === '-V' || option === '--version') && more.length === 0) {
    const ffmpeg = await firstFfmpeg();
    process.stdout.write(
      `${packageVersion} (Node.js ${process.versions.node}, ${ffmpeg ? `ffmpeg ${ffmpeg.version}` : 'no ffmpeg'})\n`,
    );
    return;
  }
  const program = await load();
  await program(process.argv);
}
