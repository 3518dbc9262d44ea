import { open } from 'node:fs/promises';
import { looksLikeNsc, MAX_NSC_SIZE, type NscFile, parseNsc } from '../announce/nsc.js';
import { WmError } from '../errors.js';
import { HttpClient } from '../http/client.js';
import { systemErrorCode, systemErrorReason } from '../media/system-error.js';

export interface OpenNscOptions {
  /** Longest wait for a web server, ms; default 10000. */
  readonly timeout?: number | undefined;
  readonly onNote?: ((text: string) => void) | undefined;
}

const TIMEOUT = 10_000;
const MAX_REDIRECTS = 5;

/** Whether a path or a URL is that of an .nsc file, by its ending. */
export function isNscLocation(text: string): boolean {
  return (
    /\.nsc$/i.test(text.trim().split(/[?#]/, 1)[0]!) && /^\s*(?:https?:\/\/|(?![a-z][a-z0-9+.-]+:\/\/))/i.test(text)
  );
}

/**
 * Reads an .nsc file from a path or from an http:// or https:// URL.
 *
 * @throws WmError WM_NO_INPUT when there is no such file, WM_UNREACHABLE, WM_SERVER_GONE or WM_PROTOCOL when the server does not give
 *   it, WM_BAD_INPUT when it is no usable .nsc file
 */
export async function openNsc(location: string, options: OpenNscOptions = {}): Promise<NscFile> {
  const place = location.trim();
  const bytes = /^https?:\/\//i.test(place) ? await fetched(place, options) : await readWhole(place);
  const text = bytes.toString('latin1');
  if (!looksLikeNsc(text))
    throw new WmError('WM_BAD_INPUT', `${place} is no .nsc file: it does not begin with [Address].`);
  return parseNsc(text, place, options.onNote);
}

async function readWhole(path: string): Promise<Buffer> {
  try {
    const file = await open(path);
    try {
      // One byte more than can be, so that a file that is too long is known by it.
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_NSC_SIZE + 1), 0, MAX_NSC_SIZE + 1, 0);
      return buffer.subarray(0, bytesRead);
    } finally {
      await file.close();
    }
  } catch (error) {
    const reason =
      systemErrorCode(error) === 'ENOENT' ? 'does not exist' : `cannot be read: ${systemErrorReason(error)}`;
    throw new WmError('WM_NO_INPUT', `${path} ${reason}.`, { cause: error });
  }
}

async function fetched(location: string, { timeout = TIMEOUT }: OpenNscOptions): Promise<Buffer> {
  let url = urlOf(location);
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const tls = url.protocol === 'https:' ? { tls: {} } : {};
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80));
    const client = await HttpClient.connect({ host, port, timeout, ...tls });
    try {
      const fields = [
        ['Host', url.host],
        ['User-Agent', 'NSPlayer/12.0.7680.0'],
        ['Accept', '*/*'],
        ['Connection', 'close'],
      ] as const;
      client.send('GET', `${url.pathname}${url.search}`, fields);
      const { head, body } = await client.response(timeout);
      if (head.status === 200) return body;
      const target = head.status >= 300 && head.status < 400 ? head.headers.get('Location') : undefined;
      if (target === undefined) {
        const text = body.length < 200 ? body.toString('utf8').trim().replace(/\s+/g, ' ') : '';
        throw new WmError(
          'WM_PROTOCOL',
          `${url.href} answered with status ${head.status}${text === '' ? '' : `: ${text}`}`,
        );
      }
      url = urlOf(target, url);
    } finally {
      client.destroy();
    }
  }
  throw new WmError('WM_PROTOCOL', `${location} is redirected again and again.`);
}

function urlOf(text: string, base?: URL): URL {
  const url = URL.canParse(text, base?.href) ? new URL(text, base) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new WmError('WM_USAGE', `${text} is no http:// or https:// URL.`);
}
