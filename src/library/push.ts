import { ClientAuthenticator } from '../auth/client.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { parseFaults } from '../testing/fault-plan.js';
import { FaultyConnections } from '../testing/faulty-socket.js';
import { faultySource } from '../testing/packet-faults.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { isSynthetic, parseSynthetic } from '../testing/synthetic-url.js';
import { PushClient, type PushOptions } from '../wmhttp/client/client.js';
import { deferred } from './moments.js';

/** How to push for a test. @public */
export interface PushCallOptions extends Omit<PushOptions, 'url' | 'onSocket' | 'authorize'> {
  /** A source, `synthetic:…` (default `synthetic:`), or the path of an ASF file; the latter two at their own pace. */
  readonly source?: AsfSource | string | undefined;
  /** Faults to commit, as for `--fault`. */
  readonly faults?: string | undefined;
  /** Ends the push properly. */
  readonly signal?: AbortSignal | undefined;
}

/** How a push ended. @public */
export interface PushResult {
  readonly packets: number;
  /** `server`: the server went away or ended the push; then `error` says how. */
  readonly ended: 'source' | 'closed' | 'server';
  readonly error?: WmError | undefined;
}

/** A push that runs. @public */
export interface PushHandle extends AsyncDisposable {
  /** Resolves when the server has taken the first packet. */
  readonly live: Promise<void>;
  /** Resolves at the end, also if the server closed: that is no refusal. Rejected if it never became live. */
  readonly finished: Promise<PushResult>;
  /** The number of packets so far. */
  readonly packets: number;
  /** Ends the push properly. */
  close(): Promise<void>;
}

/**
 * Pushes to a publishing point.
 *
 * @param url may contain a user and a password
 * @throws WmError if the server cannot be reached or refuses; the reason of an aborted signal
 * @public
 */
export async function push(url: string, options: PushCallOptions = {}): Promise<PushHandle> {
  const { source: given = 'synthetic:', faults, signal, ...more } = options;
  signal?.throwIfAborted();
  const plan = faults === undefined ? undefined : parseFaults(faults);
  const connections = plan && new FaultyConnections(plan, ['wire', 'output']);
  const { url: bare, credentials } = takeCredentials(url);
  const client = await PushClient.connect({
    ...more,
    url: bare,
    ...(credentials && { authorize: new ClientAuthenticator({ server: credentials }) }),
    ...(connections && { onSocket: (socket) => connections.take(socket, 'http') }),
  });
  const opened = typeof given === 'string' ? openNamed(given) : given;
  const source = plan ? faultySource(opened, plan) : opened;
  const live = deferred<void>();
  let packets = 0;
  let isClosed = false;
  const carry = async (): Promise<PushResult> => {
    try {
      for await (const event of source) {
        await client.write(event);
        if (event.type !== 'packet') continue;
        packets++;
        live.resolve();
      }
      await client.close();
      return { packets, ended: isClosed ? 'closed' : 'source' };
    } catch (error) {
      await source.close();
      if (packets === 0 || !(error instanceof WmError)) throw error;
      return { packets, ended: isClosed ? 'closed' : 'server', error };
    } finally {
      client.destroy();
    }
  };
  const finished = carry();
  finished.catch((error: unknown) => live.reject(error));
  const close = async () => {
    isClosed = true;
    signal?.removeEventListener('abort', close);
    await source.close();
    await finished.catch(() => {});
  };
  signal?.addEventListener('abort', close, { once: true });
  if (signal?.aborted) await close();
  return {
    live: live.promise,
    finished,
    get packets() {
      return packets;
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function openNamed(name: string): AsfSource {
  if (isSynthetic(name)) return new SyntheticSource({ ...parseSynthetic(name), pace: true });
  return fileSource({ path: name, pace: true, live: true });
}
