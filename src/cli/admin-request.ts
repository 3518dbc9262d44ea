import { Option } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';

/** The option of {@link adminOption}. */
export interface AdminOption {
  readonly admin: string;
}

/** How long the administration may take to answer, in ms. */
const TIMEOUT = 10_000;

/** Builds the option `--admin`. @param of the server that it is the administration of */
export function adminOption(of: string): Option {
  return new Option('--admin <url>', `administration of ${of}, http://user:password@host:port to log in`).default(
    'http://127.0.0.1:8081',
  );
}

/**
 * Sends a request to the administration of a server.
 *
 * @param timeout in ms
 * @returns the JSON of the answer; undefined if it has none
 * @throws WmError WM_UNREACHABLE, WM_AUTH_REFUSED, or WM_FAILED with what the server says
 */
export async function ask(
  { admin }: AdminOption,
  path: string,
  method: 'GET' | 'POST',
  timeout = TIMEOUT,
): Promise<unknown> {
  const { url, credentials } = takeCredentials(admin);
  const login = credentials && Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
  const headers = { 'X-Requested-With': 'wmcast', ...(login === undefined ? {} : { Authorization: `Basic ${login}` }) };
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { method, headers, signal: AbortSignal.timeout(timeout) });
  } catch (error) {
    const why = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new WmError('WM_UNREACHABLE', `The administration at ${url} cannot be reached: ${messageOf(why)}`, {
      cause: error,
      hint: '--admin names the administration of a host; see its ready line for the port.',
    });
  }
  const body = (response.status === 204 ? undefined : await response.json().catch(() => undefined)) as
    | { error?: string }
    | undefined;
  if (response.ok) return body;
  const code = response.status === 401 || response.status === 403 ? 'WM_AUTH_REFUSED' : 'WM_FAILED';
  throw new WmError(code, body?.error ?? `The administration answered ${response.status}.`);
}
