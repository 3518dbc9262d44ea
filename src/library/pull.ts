import type { AsfHeader } from '../asf/header.js';
import type { DataPacket } from '../asf/packet.js';
import { ClientAuthenticator } from '../auth/client.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { ArchiveSink } from '../media/archive.js';
import type { AsfEvent } from '../media/events.js';
import { describeSource } from '../sources/local.js';
import type { SourceDescription, SourceOptions } from '../sources/source.js';
import { openSourceUrl } from '../sources/table.js';
import { judge, type Outcome, parseExpectations, StreamFacts } from '../testing/expect.js';
import { deferred } from './moments.js';

/** How to receive for a test. @public */
export interface PullCallOptions extends Omit<SourceOptions, 'authorize' | 'depth' | 'tries'> {
  /** The file to record to. */
  readonly output?: string | undefined;
  /** Ends after as many packets. */
  readonly packets?: number | undefined;
  /** What the stream has to be like, as for `--expect`. */
  readonly expect?: string | undefined;
  readonly onEvent?: ((event: AsfEvent) => void) | undefined;
  /** Ends the reception. */
  readonly signal?: AbortSignal | undefined;
}

/** What was received. @public */
export interface PullResult {
  readonly packets: number;
  readonly bytes: number;
  /** The expectations and whether they are met. */
  readonly outcomes: readonly Outcome[];
}

/** A reception that runs. @public */
export interface PullHandle extends AsyncDisposable {
  readonly header: Promise<AsfHeader>;
  readonly firstPacket: Promise<DataPacket>;
  /** Resolves at the end. Rejected with the error of the source, or WM_UNEXPECTED if an expectation is not met. */
  readonly finished: Promise<PullResult>;
  close(): Promise<void>;
}

/**
 * Receives a stream, as `wmcast pull` does.
 *
 * @param url may contain a user and a password
 * @throws WmError WM_USAGE for a URL or an expectation that is not understood; the reason of an aborted signal
 * @public
 */
export function pull(url: string, options: PullCallOptions = {}): PullHandle {
  const { output, packets: most = Number.POSITIVE_INFINITY, expect = '', onEvent, signal, ...more } = options;
  signal?.throwIfAborted();
  const expectations = parseExpectations(expect);
  const { url: bare, credentials } = takeCredentials(url);
  const source = openSourceUrl(bare, {
    ...more,
    ...(credentials && { authorize: new ClientAuthenticator({ server: credentials }) }),
  });
  const header = deferred<AsfHeader>();
  const firstPacket = deferred<DataPacket>();
  const facts = new StreamFacts();
  const archive = output === undefined ? undefined : new ArchiveSink(output);
  const receive = async (): Promise<PullResult> => {
    let packets = 0;
    let bytes = 0;
    try {
      for await (const event of source) {
        facts.take(event);
        onEvent?.(event);
        await archive?.write(event);
        if (event.type === 'header') header.resolve(event.header);
        if (event.type !== 'packet') continue;
        packets++;
        bytes += event.packet.bytes.length;
        firstPacket.resolve(event.packet);
        if (packets >= most) break;
      }
    } finally {
      await source.close();
      await archive?.close();
    }
    const outcomes = judge(expectations, facts);
    const failed = outcomes.filter(({ met }) => !met).map(({ expectation, found }) => `${expectation} (${found})`);
    if (failed.length > 0) throw new WmError('WM_UNEXPECTED', `The stream is not as expected: ${failed.join(', ')}.`);
    if (packets === 0) throw new WmError('WM_BAD_INPUT', 'The stream ended before its first packet.');
    return { packets, bytes, outcomes };
  };
  const finished = receive();
  finished.catch((error: unknown) => {
    header.reject(error);
    firstPacket.reject(error);
  });
  const close = async () => {
    signal?.removeEventListener('abort', close);
    await source.close();
    await finished.catch(() => {});
  };
  signal?.addEventListener('abort', close, { once: true });
  return { header: header.promise, firstPacket: firstPacket.promise, finished, close, [Symbol.asyncDispose]: close };
}

/**
 * Describes what is at a URL without receiving it, as `wmcast probe` does.
 *
 * @throws WmError if there is nothing, or the server refuses; the reason of an aborted signal
 * @public
 */
export async function probe(
  url: string,
  options: Omit<SourceOptions, 'authorize' | 'depth' | 'tries'> & { readonly signal?: AbortSignal | undefined } = {},
): Promise<SourceDescription> {
  const { signal, ...more } = options;
  signal?.throwIfAborted();
  const { url: bare, credentials } = takeCredentials(url);
  return describeSource(bare, {
    ...more,
    ...(credentials && { authorize: new ClientAuthenticator({ server: credentials }) }),
  });
}
