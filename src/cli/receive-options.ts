import type { Command } from 'commander';
import type { AsfHeader } from '../asf/header.js';
import { parseBitrate, parseDuration } from '../capture/options.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfSource } from '../media/events.js';
import { isAnnouncementFile } from '../sources/announced.js';
import { localSource } from '../sources/local.js';
import { PacedSource } from '../sources/paced.js';
import type { RemoteSource, SourceOptions } from '../sources/source.js';
import { hasChoiceOfStreams, isSourceUrl, openSourceUrl } from '../sources/table.js';
import { type AccessOptions, accessTo, addAccessOptions } from './access-options.js';
import { parsedBy, parseRetry } from './program.js';
import { asClock, type Reporter } from './reporter.js';

/** The options for what to request from a server, and how to log in. */
export interface ServerOptions extends AccessOptions {
  readonly streams?: readonly number[];
  /** Bits per second, or `measure` to have the line measured. */
  readonly bandwidth?: number | 'measure';
  readonly userAgent?: string;
  readonly asServer?: true;
  readonly pipelined?: true;
  readonly strict?: true;
  readonly interface?: string;
}

/** The options for what to receive, and how long to keep trying. */
export interface ReceiveOptions extends ServerOptions {
  /** Seconds. */
  readonly duration?: number;
  /** Seconds. */
  readonly start?: number;
  readonly retry?: number;
  readonly speed?: number;
  /** False with --no-log. */
  readonly log: boolean;
}

const DEFAULT_RETRIES = 10;
const DEFAULT_SPEED = 100;

/** Adds the options for asking a server: login, streams, protocol. */
export function addServerOptions(command: Command): Command {
  return addAccessOptions(command)
    .optionsGroup('What to ask for:')
    .option('--streams <numbers>', 'only these streams, for example 1,2; probe lists them', parsedBy(parseStreams))
    .option(
      '--bandwidth <rate>',
      'choose the bit rates that fit, for example 300k; "measure" lets the server measure the line',
      parsedBy((text) => (text === 'measure' ? 'measure' : parseBitrate(text, '--bandwidth'))),
    )
    .option('--user-agent <text>', 'identify as this client, for example NSPlayer/9.0.0.2833')
    .option('--as-server', 'identify as a relaying server (NSServer), as encoders expect')
    .option('--pipelined', 'use one connection for all requests if the server allows it')
    .option('--interface <name>', 'network interface for multicast, by name or address')
    .option('--strict', 'reject servers that violate the specification (default: tolerate them)');
}

/** Adds the options for receiving: those for asking, and where to start and stop. */
export function addReceiveOptions(command: Command): Command {
  return addServerOptions(command)
    .option(
      '-t, --duration <time>',
      'stop after this much of the stream, for example 90 or 1:30',
      parsedBy((text) => parseDuration(text)),
    )
    .option(
      '--start <time>',
      'start at this time of the content; live streams have none',
      parsedBy((text) => parseDuration(text, '--start')),
    )
    .option(
      '--speed <factor>',
      'ask for content on demand this much faster than real time (default: 100; 1 for live sinks)',
      parsedBy(parseSpeed),
    )
    .option(
      '--retry <n>',
      'attempts in a row after a failure, or "forever" (default: 10, after the first success)',
      parsedBy(parseRetry),
    )
    .option('--no-log', 'send the server no log of what was received');
}

/** @throws WmError WM_USAGE */
function parseStreams(text: string): number[] {
  const numbers = text.split(',').map((part) => (/^\s*\d{1,3}\s*$/.test(part) ? Number(part) : 0));
  if (numbers.some((number) => number < 1 || number > 127)) {
    throw new WmError('WM_USAGE', 'It takes numbers from 1 to 127, separated by commas.');
  }
  return numbers;
}

function parseSpeed(text: string): number {
  const value = Number(text);
  if (!/^\d{1,5}(?:\.\d{1,3})?$/.test(text) || value < 1) throw new WmError('WM_USAGE', 'It takes a number from 1.');
  return value;
}

/**
 * True if the text names a server rather than a file. @throws WmError WM_USAGE for a kind of URL that cannot be
 * received
 */
export function isServerUrl(from: string): boolean {
  return isSourceUrl(from);
}

/** Turns the options into those of a client. @param url may contain a user and a password */
export function clientOptions(url: string, options: ServerOptions, reporter: Reporter): SourceOptions {
  const { streams, bandwidth, userAgent, asServer, pipelined, strict, interface: own } = options;
  const { proxy, tls, authorize } = accessTo(url, options);
  const isServer = isServerUrl(takeCredentials(url).url);
  if ((streams ?? bandwidth) !== undefined && isServer && !hasChoiceOfStreams(takeCredentials(url).url)) {
    reporter.warn('--streams and --bandwidth have no effect here: MSBD and multicasts carry all streams.');
  }
  return {
    tls,
    authorize,
    streams,
    bandwidth: bandwidth === 'measure' ? undefined : bandwidth,
    packetPair: bandwidth === 'measure',
    userAgent,
    identity: asServer ? 'NSServer' : 'NSPlayer',
    proxy,
    pipelined: pipelined ?? false,
    tolerant: !strict,
    interface: own,
    onNote: (text) => reporter.detail(text),
  };
}

/**
 * Opens a server's stream, which is resumed after interruptions.
 *
 * @param pace true to request content on demand at its playback rate, unless a speed was given
 */
export function openClient(url: string, options: ReceiveOptions, reporter: Reporter, pace = false): RemoteSource {
  return openSourceUrl(takeCredentials(url).url, receivingOptions(url, options, reporter, pace));
}

function receivingOptions(url: string, options: ReceiveOptions, reporter: Reporter, pace: boolean): SourceOptions {
  const { duration, start, retry, speed = pace ? 1 : DEFAULT_SPEED, log } = options;
  return {
    ...clientOptions(url, options, reporter),
    startTime: start === undefined ? 0 : Math.round(start * 1000),
    maxDuration: duration === undefined ? 0 : Math.ceil(duration * 1000),
    speed,
    log,
    reconnect: { retries: retry ?? DEFAULT_RETRIES, first: retry !== undefined },
    onReconnect: ({ error, attempt, delay }) => {
      reporter.event('reconnect', { attempt, delay, code: error.code, message: error.message });
      reporter.info(`${error.message} Trying again in ${(delay / 1000).toFixed(1)} s (${attempt}).`);
    },
  };
}

/**
 * Opens a server's stream or a file.
 *
 * @param pace true to yield packets when they are due, as live receivers need them
 */
export function openFrom(from: string, options: ReceiveOptions, reporter: Reporter, pace: boolean): AsfSource {
  if (isServerUrl(from)) {
    const client = openClient(from, options, reporter, pace);
    return pace && options.speed === undefined ? new PacedSource(client) : client;
  }
  const file = { path: from, pace, warn: (message: string) => reporter.warn(message) };
  return localSource(file, receivingOptions(from, options, reporter, pace));
}

/** True if a file is an announcement, which means that the content it leads to is wanted. */
export async function leadsElsewhere(path: string): Promise<boolean> {
  return path !== '-' && !isServerUrl(path) && (await isAnnouncementFile(path));
}

/**
 * Warns if `--start` has no effect: servers then send what they have, a live stream from now or the last seconds of a
 * file.
 */
export function warnOfStart(header: AsfHeader, { start }: ReceiveOptions, isServer: boolean, reporter: Reporter): void {
  if (start === undefined || start === 0) return;
  const { broadcast, fileProperties, preroll } = header;
  const seconds = Number(fileProperties.playDuration) / 1e7 - preroll / 1000;
  if (!isServer) reporter.warn('--start is for content of servers; the file is read from its beginning.');
  else if (broadcast) reporter.warn('The stream is live, so it begins now and not at --start.');
  else if (seconds > 0 && start >= seconds) {
    reporter.warn(`The content ends after ${asClock(seconds)}, before --start; what the server gives of it follows.`);
  }
}
