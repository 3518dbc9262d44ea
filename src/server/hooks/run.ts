import { setTimeout as delay } from 'node:timers/promises';
import { hidePasswords, messageOf, printable } from '../../errors.js';

/** The events that hooks can be told, or asked about. */
export const HOOK_EVENTS = ['publish', 'unpublish', 'play', 'stop', 'archive', 'source-lost'] as const;
/** The name of an event that hooks are called for. */
export type HookEventName = (typeof HOOK_EVENTS)[number];

/** A hook: what an operator wants to be run at certain events. */
export interface HookConfig {
  readonly on: readonly HookEventName[];
  /** A URL, or a program and its arguments, which are run without a shell. */
  readonly run: string | readonly string[];
  /** In s. */
  readonly timeout: number;
  /** True if it is asked before somebody publishes or plays, and may refuse. */
  readonly decides: boolean;
}

/** An event, as hooks get it in JSON. */
export interface HookEvent extends Readonly<Record<string, unknown>> {
  readonly event: HookEventName;
  readonly path: string;
}

/** The answer of a hook; a refusal has the reason that it gave, cleaned for a log. */
export type HookAnswer = { readonly allowed: true } | { readonly allowed: false; readonly reason: string };

/** In characters. */
const MAX_REASON = 200;
const MAX_OUTPUT = 64 * 1024;
/** How long a program that was told to end may take, in ms. */
const KILL_AFTER = 1_000;
/** Exit codes with which a shell says that it could not run a program. */
const NOT_RUN: ReadonlySet<number> = new Set([126, 127]);

/**
 * Tells a hook an event.
 *
 * @throws Error if it cannot be run or reached, does not answer in time, or fails with an answer that is no decision
 */
export function runHook(hook: HookConfig, event: HookEvent): Promise<HookAnswer> {
  const text = `${JSON.stringify(event)}\n`;
  return urlOf(hook) === undefined ? runCommand(hook, event, text) : post(hook, text);
}

/** Returns what a hook is called in messages; without passwords. */
export function hookName(hook: Pick<HookConfig, 'run'>): string {
  const url = urlOf(hook);
  return url === undefined ? String([hook.run].flat()[0]) : hidePasswords(withoutLogin(url).href);
}

/** True if hooks can be run so: a URL that can be parsed, or a program. */
export function isHookTarget(run: HookConfig['run']): boolean {
  const url = urlOf({ run });
  return url === undefined ? [run].flat()[0] !== '' : URL.canParse(url);
}

function urlOf({ run }: Pick<HookConfig, 'run'>): string | undefined {
  return typeof run === 'string' && /^https?:\/\//i.test(run) ? run : undefined;
}

/** Exit code 0 allows; others refuse, with standard error as the reason. */
async function runCommand({ run, timeout }: HookConfig, { event }: HookEvent, text: string): Promise<HookAnswer> {
  const [program = '', ...args] = [run].flat();
  const { execa } = await import('execa');
  const running = execa(program, args, {
    input: text,
    timeout: timeout * 1000,
    forceKillAfterDelay: KILL_AFTER,
    env: { WMCAST_EVENT: event },
    stdout: 'ignore',
    maxBuffer: MAX_OUTPUT,
    reject: false,
  });
  // A program that has ended may leave others that keep its output open.
  const late = delay(timeout * 1000 + 2 * KILL_AFTER, undefined, { ref: false });
  const ended = await Promise.race([running, late]);
  if (!ended) running.stderr.destroy();
  if (!ended || ended.timedOut) throw new Error(`it took longer than ${timeout} s`);
  const { exitCode, stderr, failed, shortMessage } = ended;
  if (exitCode === undefined || NOT_RUN.has(exitCode)) throw new Error(printable(shortMessage ?? '', MAX_REASON));
  if (!failed) return { allowed: true };
  const reason = printable(stderr.trim().split('\n')[0] ?? '', MAX_REASON);
  return { allowed: false, reason: reason === '' ? `exit code ${exitCode}` : reason };
}

/** Status 2xx allows; 4xx refuses, with the body as the reason. */
async function post(hook: HookConfig, text: string): Promise<HookAnswer> {
  const target = urlOf(hook)!;
  const url = withoutLogin(target);
  const { username, password } = new URL(target);
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64');
  const signal = AbortSignal.timeout(hook.timeout * 1000);
  let response: Response;
  let body: string;
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(username === '' ? {} : { Authorization: `Basic ${login}` }),
      },
      body: text,
      redirect: 'error',
      signal,
    });
    body = await beginningOf(response);
  } catch (error) {
    if (signal.aborted) throw new Error(`it took longer than ${hook.timeout} s`);
    const { cause = error } = error as { cause?: unknown };
    throw new Error(messageOf(cause));
  }
  if (response.ok) return { allowed: true };
  const reason = printable(body.trim().split('\n')[0] ?? '', MAX_REASON);
  if (response.status >= 400 && response.status < 500) {
    return { allowed: false, reason: reason === '' ? `status ${response.status}` : reason };
  }
  throw new Error(`it answered with status ${response.status}`);
}

/** Reads no more of a body than a reason needs. */
async function beginningOf({ body }: Response): Promise<string> {
  if (!body) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    chunks.push(chunk);
    bytes += chunk.length;
    if (bytes > MAX_REASON) break;
  }
  return Buffer.concat(chunks).toString('utf8');
}

function withoutLogin(text: string): URL {
  const url = new URL(text);
  url.username = '';
  url.password = '';
  return url;
}
