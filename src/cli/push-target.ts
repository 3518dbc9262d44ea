import type { Command } from 'commander';
import type { DataPacket } from '../asf/packet.js';
import { parseDuration } from '../capture/options.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { FaultyConnections } from '../testing/faulty-socket.js';
import { faultySink } from '../testing/packet-faults.js';
import { ReconnectingPush, type ReconnectingPushStats } from '../wmhttp/client/reconnecting-push.js';
import type { Access } from './access-options.js';
import { addFaultOption, type FaultOptions, faultsOf, UNFIT_FOR_PUSHES } from './fault-option.js';
import { type Interruption, parsedBy, parseRetry } from './program.js';
import type { Reporter } from './reporter.js';

/** After a signal, how long to wait for the server's final response, in ms. */
const GRACE = 3_000;

const DEFAULT_RETRIES = 10;

/** The options of every command that pushes. */
export interface PushTargetOptions extends FaultOptions {
  readonly template?: string;
  readonly autoDestroy?: true;
  /** The number of attempts; Infinity for no limit. */
  readonly retry?: number;
  /** Seconds. */
  readonly buffer?: number;
  /** Seconds. */
  readonly requestLength?: number;
}

/** Adds the options of a push: its point, packets, retries and credentials. */
export function addPushOptions(command: Command): Command {
  return addFaultOption(command.optionsGroup('Push:'))
    .option('--template <path>', 'point whose settings a new point copies')
    .option('--auto-destroy', 'remove the point when the push ends')
    .option(
      '--buffer <time>',
      'media kept while the connection is down; older packets are dropped and counted (default: 60 s)',
      parsedBy((text) => parseDuration(text, '--buffer')),
    )
    .option(
      '--request-length <time>',
      'start a new request this often, so that the server confirms what it has (default: 60 s through proxies, else never)',
      parsedBy((text) => parseDuration(text, '--request-length')),
    );
}

/** Adds `--retry`. */
export function addRetryOption(command: Command): Command {
  return command.option(
    '--retry <n>',
    'attempts in a row after a failure, or "forever" (default: 10, after the first success)',
    parsedBy(parseRetry),
  );
}

/** A push for {@link carry}. */
export interface OpenPush extends AsfSink {
  readonly stats: ReconnectingPushStats;
}

/**
 * Opens a push that reports interruptions. A signal ends its waits for the server.
 *
 * @param how.patient true if the source can wait, so that nothing has to be dropped
 * @param how.alternatives further URLs of the same point
 * @throws Interrupted, or as {@link ReconnectingPush.connect}
 */
export async function openPush(
  { url, proxy, tls, authorize }: Access,
  options: PushTargetOptions,
  {
    reporter,
    interruption,
    patient,
    alternatives,
    onDrop,
  }: {
    reporter: Reporter;
    interruption: Interruption;
    patient: boolean;
    alternatives?: readonly string[];
    onDrop?: ((packet: DataPacket) => void) | undefined;
  },
): Promise<OpenPush> {
  const { template, autoDestroy, retry, buffer, requestLength } = options;
  const plan = faultsOf(options, UNFIT_FOR_PUSHES);
  const faults = plan && new FaultyConnections(plan, ['wire', 'output']);
  const connecting = ReconnectingPush.connect(
    {
      onSocket: faults && ((socket) => faults.take(socket, 'http')),
      url,
      alternatives,
      proxy,
      tls,
      authorize,
      template,
      autoDestroy: autoDestroy ?? false,
      bodyDuration: requestLength,
      reconnect: { retries: retry ?? DEFAULT_RETRIES, first: retry !== undefined },
      buffer: { onDrop, ...(buffer !== undefined && { duration: buffer * 1000 }) },
      whenFull: patient ? 'wait' : 'drop',
      onReconnect: ({ error, attempt, delay }) => {
        reporter.event('reconnect', { attempt, delay, code: error.code, message: error.message });
        reporter.info(`${error.message} Trying again in ${(delay / 1000).toFixed(1)} s (${attempt}).`);
      },
      onResumed: (report) => {
        reporter.event('resumed', { ...report });
        const lost = report.unconfirmed > 0 ? ` It is not known whether the last packets arrived.` : '';
        reporter.info(
          `The push continues${report.resumed ? '' : ' in a new session'}; ${report.waiting} packets are waiting.${lost}`,
        );
      },
      onDropped: (packets) => {
        reporter.event('dropped', { packets });
        reporter.detail(`${packets} packets were dropped.`);
      },
    },
    interruption.signal,
  );
  const client = await interruption.race(connecting, { late: (late) => late.abort() });
  const sink = { write: (event: AsfEvent) => client.write(event), close: () => client.close() };
  const written: AsfSink = plan ? faultySink(sink, plan) : sink;
  return {
    write: (event) => written.write(event),
    close: async () => {
      try {
        await interruption.race(client.close(), { grace: GRACE });
      } finally {
        client.abort();
      }
    },
    get stats() {
      return client.stats;
    },
  };
}

/** Composes the sentence about lost packets; empty if nothing was lost. */
export function lossOf({ dropped, waiting }: ReconnectingPushStats): string {
  const lost = dropped + waiting;
  return lost === 0 ? '' : ` ${lost} packets were lost.`;
}

/**
 * Rejects a URL that contains a user or password where they cannot be used, without repeating them.
 *
 * @throws WmError WM_USAGE
 */
export function refuseCredentials(url: string): void {
  const { url: open } = takeCredentials(url);
  if (open === url) return;
  throw new WmError('WM_USAGE', `A user and a password in a URL cannot be used yet; give ${open.trim()}.`);
}
