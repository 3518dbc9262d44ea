import { addressList } from '../../http/address-list.js';
import type { Exchange } from '../../http/exchange.js';
import { HttpError } from '../../http/message.js';
import { rawPathOf } from '../../http/target.js';
import type { Attempt } from '../../playback/entrance.js';
import type { RunningSession, SessionInfo } from '../../playback/registry.js';
import { buildValidationPage } from '../../wmlog/line.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { buildFileHead } from '../../wmlog/w3c.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';
import { pathOf } from '../content/paths.js';
import { webFields } from '../web/fields.js';
import { HostFacts } from './host-facts.js';
import { LogWriter } from './log-writer.js';
import { webLog } from './received.js';
import { SessionLogs } from './session-logs.js';

/** The settings of log files: `logs` in a configuration. */
export interface LogsConfig {
  readonly folder: string;
  /** In MB. */
  readonly maxSize?: number | undefined;
  readonly proxies?: readonly string[] | undefined;
  readonly submissions?: boolean | undefined;
}

/** The log files of a server, and what they need to know about it. */
export interface ServerLogsOptions {
  readonly config: LogsConfig;
  /** The address that the server listens on; undefined for all. */
  readonly host: string | undefined;
  readonly players: () => number;
  /** Takes the lines, for a process that writes no files itself. */
  readonly write?: (line: string) => void;
  readonly onWarning: (message: string) => void;
  /** Called with each log that is posted to the logging URL. */
  readonly onLog: (log: SubmittedLog) => void;
}

/** The logging URL, in any folder: the names that Windows Media Services gave it, which players and .asx files use. */
const LOGGING_URL = /\/(?:ns|wms)iislog\.dll$/i;
/** The logging URL that announcements name. */
const OWN_URL = '/wmsiislog.dll';
/** In bytes, as for the other protocols. */
const MAX_BODY = 64 * 1024;
const SOFTWARE = 'Windows Media Services';

/** The log files of a server, and its logging URL for the clients of multicasts. */
export class ServerLogs {
  readonly #options: ServerLogsOptions;
  readonly #writer: LogWriter;
  readonly #sessions: SessionLogs;
  readonly #version: string;

  constructor(options: ServerLogsOptions) {
    const { config, onWarning, players } = options;
    this.#options = options;
    this.#version = SERVER_NAME.slice(SERVER_NAME.indexOf('/') + 1);
    const host = new HostFacts(options.host);
    this.#writer = new LogWriter({
      folder: config.folder,
      maxSize: config.maxSize === undefined ? undefined : config.maxSize * 1_000_000,
      head: (started, ended) =>
        buildFileHead({
          started,
          ended,
          serverName: host.name,
          serverAddresses: host.addresses,
          software: SOFTWARE,
          version: this.#version,
        }),
      onWarning,
    });
    this.#sessions = new SessionLogs({
      write: options.write ?? ((line) => this.#writer.write(line)),
      host,
      players,
      proxies: addressList(config.proxies ?? []),
      onWarning,
    });
  }

  /** Begins the first log file. */
  open(): Promise<void> {
    return this.#writer.open();
  }

  /** Writes a line that another process of this server has composed. */
  line(line: string): void {
    this.#writer.write(line);
  }

  /** An attempt to describe or play content has ended. */
  attempted(attempt: Attempt): void {
    this.#sessions.attempted(attempt);
  }

  /** A player begins to play. */
  began(info: SessionInfo, session: RunningSession): void {
    this.#sessions.began(info, session);
  }

  /** A player has stopped. */
  stopped(session: RunningSession): void {
    this.#sessions.stopped(session);
  }

  /** A client has submitted a log, by any protocol. */
  submitted(log: SubmittedLog): void {
    this.#sessions.submitted(log);
  }

  /** Returns the logging URL, for clients that reach the server under that name. @param authority host and port */
  loggingUrl(authority: string): string | undefined {
    return this.#options.config.submissions === false ? undefined : `http://${authority}${OWN_URL}`;
  }

  /**
   * Answers a request to the logging URL ([MS-WMLOG] 2.3): GET asks whether logs are taken here, POST submits one.
   *
   * @returns false for any other URL
   */
  handle(exchange: Exchange): boolean {
    if (this.#options.config.submissions === false) return false;
    if (!LOGGING_URL.test(rawPathOf(exchange.request.target))) return false;
    this.#answer(exchange).catch((error: unknown) => {
      if (exchange.lost) return;
      const status = error instanceof HttpError ? error.status : 400;
      exchange.respond({ status, fields: webFields('text/plain; charset=utf-8'), close: true });
    });
    return true;
  }

  /** Writes what is known of all sessions, and closes the file. Call once they have ended. */
  async close(): Promise<void> {
    this.#sessions.close();
    await this.#writer.close();
  }

  async #answer(exchange: Exchange): Promise<void> {
    const { method, target, headers } = exchange.request;
    // Each part of the version has four digits at most.
    const version = this.#version.replace(/\d+/g, (part) => part.slice(0, 4));
    const page = Buffer.from(buildValidationPage(version), 'latin1');
    if (method === 'GET' || method === 'HEAD') {
      exchange.respond({ status: 200, fields: webFields('text/html'), body: page });
      return;
    }
    if (method !== 'POST') throw new HttpError(405, 'The logging URL answers GET and POST.');
    const body = await exchange.readBody(MAX_BODY);
    const log = webLog(pathOf(target), exchange.remoteAddress, headers.get('User-Agent') ?? '', body);
    if (!log.log) throw new HttpError(400, 'The body is not a log.');
    this.#options.onLog(log);
    exchange.respond({ status: 200, fields: webFields('text/html'), body: page });
  }
}
