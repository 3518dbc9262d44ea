import { headerRefusal } from '../../auth/header-dialog.js';
import type { Exchange } from '../../http/exchange.js';
import { type Field, HttpError } from '../../http/message.js';
import { ALLOWED } from '../../http/methods.js';
import { classifyRequest, type WmspRequest } from '../messages/requests.js';
import { type Handling, statusOf } from './handling.js';
import type { WmspServerOptions } from './options.js';
import { profileOf } from './profiles.js';
import { getContentInfo } from './requests/content-info.js';
import { describe } from './requests/describe.js';
import { keepAlive } from './requests/keep-alive.js';
import { log } from './requests/log.js';
import { pipeline } from './requests/pipeline.js';
import { play } from './requests/play.js';
import { playNextEntry } from './requests/play-next-entry.js';
import { selectStream } from './requests/select-stream.js';
import { sendEvent } from './requests/send-event.js';
import { stop } from './requests/stop.js';
import { ServerRequests } from './server-requests.js';

export type { WmspServerOptions } from './options.js';

const SWEEP_INTERVAL = 1_000;

/** The server role of MS-WMSP. It owns the sessions (3.2.1); an {@link HttpServer} passes requests to it. */
export class WmspServer {
  readonly #server: ServerRequests;
  readonly #sweeper: NodeJS.Timeout;

  constructor(options: WmspServerOptions) {
    this.#server = new ServerRequests(options);
    this.#sweeper = setInterval(() => this.sweep(), SWEEP_INTERVAL);
    this.#sweeper.unref();
  }

  /** The number of clients that currently play. */
  get players(): number {
    return this.#server.plays.size;
  }

  get sessions(): number {
    return this.#server.sessions.size;
  }

  /** Ends all playing sessions and accepts no more. */
  close(): void {
    clearInterval(this.#sweeper);
    for (const session of this.#server.sessions) session.stop();
  }

  /**
   * Answers a request if it comes from a client of this protocol.
   *
   * @returns false if the User-Agent is not one of this protocol's (MS-WMSP 3.2.5.1); then nothing was answered
   */
  handle(exchange: Exchange): boolean {
    const request = classifyRequest(exchange.request);
    if (request === 'foreign') return false;
    if (request === 'invalid') {
      const fields = [...this.#server.replies.common(), ALLOWED];
      this.#refuse(exchange, new HttpError(400, 'The request is of no known type.'), fields);
      return true;
    }
    void this.#handle(exchange, request);
    return true;
  }

  async #handle(exchange: Exchange, request: WmspRequest): Promise<void> {
    const profile = profileOf(request.client);
    try {
      const { target, headers } = exchange.request;
      const path = target === '*' ? '*' : this.#server.options.pathOf(target, headers.get('Host'));
      const handling = { ...request, exchange, profile, path };
      await this.#dispatch(handling);
    } catch (error) {
      const session = this.#server.sessionOf({ ...request, exchange });
      this.#refuse(exchange, error, session && this.#server.replies.of(session, profile));
    }
  }

  /** Forgets sessions whose Idle-Timeout has expired (MS-WMSP 3.2.6.2). Called once a second. */
  sweep(): void {
    this.#server.sessions.sweep(this.#server.plays.size);
    this.#server.playback.sweep();
  }

  #dispatch(handling: Handling): Promise<void> | void {
    switch (handling.type) {
      case 'Describe':
        return describe(this.#server, handling);
      case 'Play':
        return play(this.#server, handling);
      case 'KeepAlive':
        return keepAlive(this.#server, handling);
      case 'Log':
        return log(this.#server, handling);
      case 'GetContentInfo':
        return getContentInfo(this.#server, handling);
      case 'SendEvent':
        return sendEvent(this.#server, handling);
      case 'Pipeline':
        return pipeline(this.#server, handling);
      case 'PlayNextEntry':
        return playNextEntry(this.#server, handling);
      case 'SelectStream':
        return selectStream(this.#server, handling);
      case 'Stop':
        return stop(this.#server, handling);
    }
  }

  #refuse(exchange: Exchange, error: unknown, fields: readonly Field[] = this.#server.replies.common()): void {
    if (exchange.lost) return;
    const refusal = headerRefusal(error, exchange.request);
    const status = refusal?.status ?? statusOf(error);
    if (status >= 500 && !refusal) this.#server.options.onError?.(error);
    exchange.respond({ status, fields: [...fields, ...(refusal?.fields ?? [])], close: !refusal?.challenge });
  }
}
