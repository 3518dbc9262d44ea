import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import type { Command } from 'commander';
import { run } from '../../src/cli/program.js';
import { fileSource } from '../../src/media/file-source.js';
import { shapeOf } from '../wmsp/client-support.js';

export interface Ran {
  /** Standard output, bytes as Latin-1. */
  readonly output: string;
  /** Standard error. */
  readonly log: string;
  /** The events of --json. */
  readonly events: ReadonlyArray<Record<string, unknown> & { readonly event: string }>;
  readonly error: unknown;
  readonly exitCode: unknown;
}

/** Runs a command in this process, captures its output, and cleans up after it. */
export function runCommand(command: Command, ...args: string[]): Promise<Ran> {
  return kept(async () => void (await command.exitOverride().parseAsync(args, { from: 'user' })));
}

/** Like {@link runCommand}, up to the end of the process that {@link run} causes; `exitCode` is its exit code. */
export function runProgram(command: Command, ...args: string[]): Promise<Ran> {
  return kept(async () => {
    const exit = jest.spyOn(process, 'exit').mockImplementation((code) => {
      process.exitCode = code ?? undefined;
      throw new Error('The process has ended.');
    });
    await run(command, ['node', command.name(), ...args]).catch(() => {});
    exit.mockRestore();
  });
}

async function kept(work: () => Promise<void>): Promise<Ran> {
  const output: Buffer[] = [];
  const log: string[] = [];
  const take = (into: (bytes: Buffer) => void) => (chunk: unknown, encoding?: unknown, done?: unknown) => {
    into(typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk as Buffer));
    const callback = typeof encoding === 'function' ? encoding : done;
    if (typeof callback === 'function') callback();
    return true;
  };
  const spies = [
    jest.spyOn(process.stdout, 'write').mockImplementation(take((bytes) => output.push(bytes))),
    jest.spyOn(process.stderr, 'write').mockImplementation(take((bytes) => log.push(bytes.toString()))),
  ];
  const signals = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;
  const before = new Map(signals.map((signal) => [signal, process.listeners(signal)]));
  const streams = [process.stdout, process.stderr];
  const errorListeners = streams.map((stream) => stream.listeners('error'));
  const exitCode = process.exitCode;
  process.exitCode = undefined;
  let error: unknown;
  try {
    await work();
  } catch (thrown) {
    error = thrown;
  }
  const ended = process.exitCode;
  process.exitCode = exitCode;
  for (const spy of spies) spy.mockRestore();
  for (const signal of signals) {
    for (const listener of process.listeners(signal)) {
      if (!before.get(signal)!.includes(listener)) process.removeListener(signal, listener);
    }
  }
  for (const [index, stream] of streams.entries()) {
    for (const listener of stream.listeners('error')) {
      if (!errorListeners[index]!.includes(listener)) stream.removeListener('error', listener as () => void);
    }
  }
  const text = Buffer.concat(output).toString('latin1');
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  return {
    output: text,
    log: log.join(''),
    events: lines.map((line) => JSON.parse(line) as Ran['events'][number]),
    error,
    exitCode: ended,
  };
}

const folders: string[] = [];

/** A new folder for files of a test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wmcast-cli-'));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** Describes an ASF file: the shape of its events, and a reader's complaints. */
export async function readBack(path: string): Promise<{ shape: string; warnings: string[]; live: boolean }> {
  const warnings: string[] = [];
  const events = [];
  for await (const event of fileSource({ path, warn: (message) => warnings.push(message) })) events.push(event);
  const [first] = events;
  return { shape: shapeOf(events), warnings, live: first?.type === 'header' && first.header.broadcast };
}
