import { spawn } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { execa } from 'execa';
import type { EncoderLog } from './log.js';
import { withTimeout } from './time-limit.js';

/** How ffmpeg ended. */
export interface EncoderExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly spawnError?: Error;
}

/**
 * Has a process killed once this one is gone, even if it was killed itself: ffmpeg that waits for its input does not
 * notice. A shell waits for the end of a pipe that only this process holds.
 *
 * @param pid negative for a group of processes; undefined for one that could not be started
 * @returns to be called when the process has ended, before its id is another one's
 */
function guard(pid: number | undefined): () => void {
  if (pid === undefined || process.platform === 'win32') return () => {};
  const shell = spawn('/bin/sh', ['-c', 'read _; kill -9 "$1"', 'sh', String(pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // An interruption from the terminal is for this process, which then ends ffmpeg properly.
    detached: true,
  });
  shell.on('error', () => undefined);
  shell.stdin.on('error', () => undefined);
  shell.unref();
  (shell.stdin as Socket).unref();
  return () => shell.kill('SIGKILL');
}

/** Starts a command in a group of its own, so that what it starts ends with it. */
export function startFeeder(command: string): { readonly stdout: Readable; stop(): void } {
  const detached = process.platform !== 'win32';
  const child = spawn(command, { shell: true, stdio: ['ignore', 'pipe', 'ignore'], detached, windowsHide: true });
  child.on('error', () => child.stdout.destroy());
  const unguard = guard(child.pid === undefined ? undefined : -child.pid);
  const kill = () => {
    if (child.pid === undefined) return;
    try {
      process.kill(detached ? -child.pid : child.pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  };
  process.once('exit', kill);
  return {
    stdout: child.stdout,
    stop: () => {
      process.removeListener('exit', kill);
      child.stdout.destroy();
      kill();
      unguard();
    },
  };
}

/** Starts ffmpeg and reads its log. */
export function startEncoder(
  program: string,
  args: readonly string[],
  stdin: 'inherit' | 'ignore' | Readable,
  log: EncoderLog,
) {
  // `cleanup` is execa's default: it also ends ffmpeg when this process exits or is ended by a signal.
  const process = execa(program, args, {
    // The last one is for timed ID3, if there is any.
    stdio: [stdin, 'pipe', 'pipe', 'pipe'],
    encoding: 'buffer',
    buffer: false,
    reject: false,
    windowsHide: true,
  });
  let running = process.pid !== undefined;
  const unguard = guard(process.pid);
  const exited = new Promise<EncoderExit>((resolve) => {
    process.once('exit', (exitCode, signal) => {
      running = false;
      unguard();
      resolve({ exitCode, signal });
    });
    process.once('error', (spawnError) => resolve({ exitCode: null, signal: null, spawnError }));
  });
  // 'exit' may come before the last lines of the log.
  const logged = new Promise<void>((resolve) => process.stderr.once('close', resolve));
  const decoder = new TextDecoder();
  process.stderr.on('data', (chunk: Buffer) => log.push(decoder.decode(chunk, { stream: true })));
  process.stderr.on('error', () => undefined);
  process.stdout.on('error', () => undefined);

  /**
   * SIGINT lets it complete its last packet; a blocked input ends only at the second SIGINT; SIGKILL is for one that
   * hangs.
   */
  const stop = async (timeout: number): Promise<EncoderExit> => {
    for (const [signal, patience] of [
      ['SIGINT', timeout / 4],
      ['SIGINT', (timeout * 3) / 4],
    ] as const) {
      if (!running) break;
      if (patience > 0) {
        process.kill(signal);
        await withTimeout(exited, patience);
      }
    }
    if (running) process.kill('SIGKILL');
    return exited;
  };
  return {
    process,
    stop,
    get running() {
      return running;
    },
    exited: exited.then(async (exit) => {
      await withTimeout(logged, 500);
      return exit;
    }),
  };
}

/** ffmpeg that runs. */
export type Encoder = ReturnType<typeof startEncoder>;
