import { messageOf, WmError } from '../errors.js';
import type { ReloadReport } from '../server/reload.js';
import type {
  AdminArchive,
  AdminLogLine,
  AdminLogTail,
  AdminNode,
  AdminPoint,
  AdminProcess,
  AdminPublisher,
  AdminSession,
  AdminSessionLog,
  AdminStatus,
} from './admin-types.js';

/** How to reach the administration of a server. @public */
export interface AdminClientOptions {
  /** The login, where the server asks for one; sent by Basic, which servers accept over TLS and on their own host. */
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  /** How long an answer may take, in ms; default 30000. Downloads and events are not limited. */
  readonly timeout?: number | undefined;
}

/** A request that the administration refused. @public */
export class AdminError extends WmError {
  /** The HTTP status. */
  readonly status: number;

  constructor(status: number, message: string) {
    super(CODES.get(status) ?? 'WM_PROTOCOL', message);
    this.name = 'AdminError';
    this.status = status;
  }
}

const CODES = new Map([
  [400, 'WM_USAGE'],
  [401, 'WM_AUTH_REFUSED'],
  [403, 'WM_AUTH_REFUSED'],
  [404, 'WM_NO_INPUT'],
  [409, 'WM_USAGE'],
  [413, 'WM_USAGE'],
  [422, 'WM_CONFIG'],
] as const) as ReadonlyMap<number, WmError['code']>;

const TIMEOUT = 30_000;
/** A line of server-sent events that is longer ends the connection, in characters. */
const MAX_EVENT = 1024 * 1024;

/**
 * The administration of a server, typed. Each method is one request of the API, which /api/openapi.json describes.
 *
 * All of them throw an {@link AdminError} with the status and the server's sentence if the server refuses, and a WmError
 * WM_UNREACHABLE if it does not answer.
 *
 * @public
 */
export class AdminClient {
  readonly #root: URL;
  readonly #fields: Readonly<Record<string, string>>;
  readonly #timeout: number;

  /** @param url of the administration, such as `http://127.0.0.1:8081/` @throws WmError WM_USAGE for anything else */
  constructor(url: string | URL, { user, password = '', timeout = TIMEOUT }: AdminClientOptions = {}) {
    const given = String(url);
    if (!URL.canParse(given)) throw new WmError('WM_USAGE', `${given} is not a URL.`);
    this.#root = new URL(given.endsWith('/') ? given : `${given}/`);
    const login = Buffer.from(`${user}:${password}`).toString('base64');
    this.#fields = { 'X-Requested-With': 'wmcast', ...(user === undefined ? {} : { Authorization: `Basic ${login}` }) };
    this.#timeout = timeout;
  }

  /** Returns figures of the server. */
  status(): Promise<AdminStatus> {
    return this.#get('api/status');
  }

  /** Returns all points. */
  async points(): Promise<readonly AdminPoint[]> {
    return (await this.#get<{ points: AdminPoint[] }>('api/points')).points;
  }

  /** @param path of the point, such as `/live`; in all methods */
  point(path: string): Promise<AdminPoint> {
    return this.#get(pointPath(path));
  }

  /** Adds a point to the configuration that is in effect. @param fields as in the configuration file */
  createPoint(fields: { readonly path: string; readonly [name: string]: unknown }): Promise<AdminPoint> {
    return this.#send('POST', 'api/points', fields);
  }

  /** Changes fields of a configured point; null removes one. */
  changePoint(path: string, fields: Readonly<Record<string, unknown>>): Promise<AdminPoint> {
    return this.#send('PATCH', pointPath(path), fields);
  }

  /** Returns the fields of a configured point, without passwords. */
  pointSettings(path: string): Promise<{ readonly saved: boolean; readonly point: Readonly<Record<string, unknown>> }> {
    return this.#get(pointPath(path, 'settings'));
  }

  /** Writes a configured point to the configuration file. */
  savePoint(path: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'save'));
  }

  /** Ends the broadcast and removes the point. @param saved true to remove it from the configuration file, too */
  removePoint(path: string, { saved = false }: { readonly saved?: boolean } = {}): Promise<void> {
    return this.#send('DELETE', `${pointPath(path)}${saved ? '?saved=true' : ''}`);
  }

  /** Accepts pushes and players again. */
  startPoint(path: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'start'));
  }

  /** Ends the broadcast, and refuses pushes and players. */
  stopPoint(path: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'stop'));
  }

  /** Accepts new players, or refuses them; those that play stay. */
  acceptPlayers(path: string, accepts: boolean): Promise<void> {
    return this.#send('POST', pointPath(path, accepts ? 'open' : 'deny'));
  }

  /** Disconnects the encoder. */
  disconnectEncoder(path: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'disconnect'));
  }

  /** Plays something next on a point with a programme. @param source a file, a folder, a playlist or a URL */
  inject(path: string, source: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'inject'), { source });
  }

  /** Sends the players a script command, such as TEXT. */
  sendCommand(path: string, type: string, text: string): Promise<void> {
    return this.#send('POST', pointPath(path, 'command'), { type, text });
  }

  /** Returns a JPEG picture of what is on air. */
  async still(path: string): Promise<Uint8Array> {
    return new Uint8Array(await (await this.#fetch('GET', pointPath(path, 'still'))).arrayBuffer());
  }

  /** Returns the encoders. */
  async publishers(): Promise<ReadonlyArray<AdminPublisher & { readonly point: string }>> {
    type Answer = { publishers: (AdminPublisher & { point: string })[] };
    return (await this.#get<Answer>('api/publishers')).publishers;
  }

  /** Returns the points that are multicast. */
  async multicasts(): Promise<ReadonlyArray<Readonly<Record<string, unknown>>>> {
    return (await this.#get<{ multicasts: Record<string, unknown>[] }>('api/multicasts')).multicasts;
  }

  /** Yields players and encoders, or only players, and asks for more as long as somebody takes them. */
  async *sessions({ role }: { readonly role?: 'player' } = {}): AsyncGenerator<AdminSession, void, undefined> {
    const kind = role === 'player' ? 'players' : 'sessions';
    for (let after = ''; ; ) {
      const query = `?limit=1000${after === '' ? '' : `&after=${encodeURIComponent(after)}`}`;
      const part = await this.#get<Record<string, AdminSession[]>>(`api/${kind}${query}`);
      const found = part[kind] ?? [];
      yield* found;
      if (found.length === 0) return;
      after = found.at(-1)!.id;
    }
  }

  /** Ends a session. */
  endSession(id: string): Promise<void> {
    return this.#send('DELETE', `api/sessions/${encodeURIComponent(id)}`);
  }

  /** Returns recordings of all points or of one, the newest first. @param limit the most to return; default 100 */
  async archives({ path, limit = 100 }: { readonly path?: string; readonly limit?: number } = {}): Promise<{
    readonly total: number;
    readonly archives: readonly AdminArchive[];
  }> {
    return this.#get(`${path === undefined ? 'api/archives' : pointPath(path, 'archives')}?limit=${limit}`);
  }

  /**
   * Downloads a recording.
   *
   * @param from the first byte; default 0
   * @param signal ends the download
   */
  async openArchive(
    path: string,
    name: string,
    { from = 0, signal }: { readonly from?: number; readonly signal?: AbortSignal } = {},
  ): Promise<ReadableStream<Uint8Array>> {
    return this.#download(pointPath(path, `archives/${encodeURIComponent(name)}`), from, signal);
  }

  /** Deletes a recording. */
  deleteArchive(path: string, name: string): Promise<void> {
    return this.#send('DELETE', pointPath(path, `archives/${encodeURIComponent(name)}`));
  }

  /** Returns what has happened, the newest first. @param limit default 100 */
  async log(limit = 100): Promise<readonly AdminLogLine[]> {
    return (await this.#get<{ lines: AdminLogLine[] }>(`api/log?limit=${limit}`)).lines;
  }

  /** Returns the files of session logs, the newest first. @param limit default 100 */
  async sessionLogs(limit = 100): Promise<readonly AdminSessionLog[]> {
    return (await this.#get<{ files: AdminSessionLog[] }>(`api/session-logs?limit=${limit}`)).files;
  }

  /** Downloads a file of session logs. @param from the first byte; default 0 */
  async openSessionLog(name: string, from = 0): Promise<ReadableStream<Uint8Array>> {
    return this.#download(`api/session-logs/${encodeURIComponent(name)}`, from);
  }

  /**
   * Returns the last lines of the session logs.
   *
   * @param limit default 100
   * @param after the cursor of an earlier answer, for the lines that follow
   */
  sessionLogTail({
    limit = 100,
    after,
  }: {
    readonly limit?: number;
    readonly after?: string;
  } = {}): Promise<AdminLogTail> {
    const from = after === undefined ? '' : `&after=${encodeURIComponent(after)}`;
    return this.#get(`api/session-logs/tail?limit=${limit}${from}`);
  }

  /** Reads the configuration again. @returns what has changed */
  reload(): Promise<ReloadReport> {
    return this.#send('POST', 'api/reload');
  }

  /** Returns the processes of the server, the main one first. */
  async processes(): Promise<readonly AdminProcess[]> {
    return (await this.#get<{ processes: AdminProcess[] }>('api/processes')).processes;
  }

  /**
   * Starts new processes for players, with the code that is on the disk now; those that play stay where they are.
   *
   * @param timeout that they may take to start, in ms
   * @returns all processes
   */
  async upgrade(timeout = 120_000): Promise<readonly AdminProcess[]> {
    const response = await this.#fetch('POST', 'api/upgrade', { signal: AbortSignal.timeout(timeout) });
    return ((await response.json()) as { processes: AdminProcess[] }).processes;
  }

  /** Returns the hosts of the cluster. */
  async nodes(): Promise<readonly AdminNode[]> {
    return (await this.#get<{ nodes: AdminNode[] }>('api/nodes')).nodes;
  }

  /**
   * Lets a host of the cluster take no new sessions, and moves its encoders to others; or takes that back.
   *
   * @param node its name
   */
  drain(node: string, draining = true): Promise<void> {
    return this.#send('POST', `api/nodes/${encodeURIComponent(node)}/${draining ? 'drain' : 'resume'}`);
  }

  /** Returns the configuration in effect, without passwords. */
  config(): Promise<Readonly<Record<string, unknown>>> {
    return this.#get('api/config');
  }

  /** Returns the figures for Prometheus. */
  async metrics(): Promise<string> {
    return (await this.#fetch('GET', 'metrics')).text();
  }

  /**
   * Yields events as they happen, and figures every two seconds, until the signal is aborted or the server ends.
   *
   * @param signal ends the iteration
   */
  async *events(
    signal: AbortSignal,
  ): AsyncGenerator<{ readonly name: string; readonly data: Record<string, unknown> }, void, undefined> {
    const { body } = await this.#fetch('GET', 'api/events', { signal });
    const decoder = new TextDecoder();
    let text = '';
    try {
      for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
        text += decoder.decode(chunk, { stream: true });
        const parts = text.split('\n\n');
        text = parts.pop()!;
        if (text.length > MAX_EVENT) throw new WmError('WM_PROTOCOL', 'The server sends an event without an end.');
        for (const part of parts) {
          const name = /^event: (.*)$/m.exec(part)?.[1];
          const data = /^data: (.*)$/m.exec(part)?.[1];
          if (name !== undefined && data !== undefined) yield { name, data: JSON.parse(data) };
        }
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  }

  async #download(place: string, from: number, signal?: AbortSignal): Promise<ReadableStream<Uint8Array>> {
    const range = from > 0 ? { Range: `bytes=${from}-` } : {};
    const { body } = await this.#fetch('GET', place, { fields: range, signal: signal ?? new AbortController().signal });
    return body ?? new ReadableStream({ start: (controller) => controller.close() });
  }

  #get<T>(place: string): Promise<T> {
    return this.#send('GET', place);
  }

  async #send<T>(method: string, place: string, body?: object): Promise<T> {
    const answer = await this.#fetch(method, place, { body });
    return (answer.status === 204 ? undefined : await answer.json()) as T;
  }

  async #fetch(
    method: string,
    place: string,
    more: {
      readonly body?: object | undefined;
      readonly fields?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal;
    } = {},
  ): Promise<Response> {
    const { body, fields, signal = AbortSignal.timeout(this.#timeout) } = more;
    const headers = { ...this.#fields, ...fields, ...(body ? { 'Content-Type': 'application/json' } : {}) };
    let answer: Response;
    try {
      const init = { method, headers, signal, ...(body ? { body: JSON.stringify(body) } : {}) };
      answer = await fetch(new URL(place, this.#root), init);
    } catch (error) {
      const cause = error instanceof TypeError && error.cause instanceof Error ? error.cause : error;
      throw new WmError('WM_UNREACHABLE', `${this.#root.host} does not answer: ${messageOf(cause)}.`, { cause: error });
    }
    if (answer.ok) return answer;
    const said = (await answer.json().catch(() => undefined)) as { readonly error?: unknown } | undefined;
    const sentence = typeof said?.error === 'string' ? said.error : `${this.#root.host} answered ${answer.status}.`;
    throw new AdminError(answer.status, sentence);
  }
}

function pointPath(path: string, action?: string): string {
  const name = encodeURIComponent(path.replace(/^\//, ''));
  return `api/points/${name}${action === undefined ? '' : `/${action}`}`;
}
