import { WmError } from '../errors.js';
import { readHttpUrl } from '../http/http-url.js';
import { watchLag } from './lag.js';
import { Recorder } from './recording.js';
import type { JudgeReport } from './report.js';
import { applyRules, type Rule } from './rule.js';
import { SERVER_RULES } from './server-rules.js';
import { type ServerObservation, WmspScript } from './wmsp-script.js';
import { WMSP_STREAM_RULES } from './wmsp-stream-rules.js';

/** How to judge a server. @public */
export interface JudgeServerOptions {
  /** How long media are received, in ms; default 6000. */
  readonly play?: number | undefined;
  /** The longest wait for a response, in ms; default 5000. */
  readonly answer?: number | undefined;
  readonly onStep?: ((name: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Every rule for servers. */
export const ALL_SERVER_RULES: readonly Rule<ServerObservation>[] = [...SERVER_RULES, ...WMSP_STREAM_RULES];

/**
 * Runs a scripted session against a WMSP server and applies the rules to what it did.
 *
 * @param url of a stream or a file that exists, http:// or mmsh://
 * @param recorder keeps what was sent and received
 * @throws WmError WM_USAGE for another URL, WM_UNREACHABLE if nobody answers there
 * @public
 */
export async function judgeServer(
  url: string,
  { play = 6_000, answer = 5_000, onStep = () => {}, signal = new AbortController().signal }: JudgeServerOptions = {},
  recorder: Recorder = new Recorder(),
): Promise<JudgeReport> {
  const parsed = readHttpUrl(url.trim().replace(/^(?:mmsh|mms):/i, 'http:'));
  if (!parsed || parsed.secure) {
    throw new WmError('WM_USAGE', `"${url}" cannot be judged: give the URL of a stream, such as mmsh://server/live.`);
  }
  const { host, port } = parsed;
  const begun = performance.now();
  const excused = watchLag();
  const target = { host, port, path: parsed.path, authority: parsed.authority };
  const observed = await new WmspScript(recorder, target, { times: { play, answer }, signal, onStep }).run();
  if (typeof observed === 'string') throw new WmError('WM_UNREACHABLE', `Nobody answers at ${url}: ${observed}.`);
  return {
    role: 'server',
    url,
    program: observed.steps.get('Describe')?.response?.headers.get('Server'),
    rules: excused(applyRules(ALL_SERVER_RULES, observed)),
    duration: performance.now() - begun,
  };
}
