import cluster, { type Worker } from 'node:cluster';
import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { FeedServer } from '../../cluster/feed-server.js';
import { messageOf, WmError } from '../../errors.js';
import type { HttpServer } from '../../http/server.js';
import type { Limits, Ticket } from '../../playback/limits.js';
import type { OtherSessions, SessionInfo, SessionReport } from '../../playback/registry.js';
import { type PullChain, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { addCounters, newCounters, type TotalCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import { closedReason } from '../content/programs.js';
import type { Listener, ServerPorts } from '../listeners/listener.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import { type CreatedPoint, type FromWorker, socketOf, type ToWorker, type WorkerFigures } from './messages.js';
import { PassedOn } from './passing.js';

/** The main process, as its workers need it. */
export interface WorkersOptions {
  /** Returns the current configuration of a worker. */
  readonly config: () => ServerConfig;
  /** The number of workers. */
  readonly count: number;
  readonly points: PublishingPoints;
  readonly limits: Limits;
  /** Takes the connections that workers pass on. */
  readonly http: HttpServer;
  readonly onBegin: (info: SessionInfo) => void;
  readonly onEnd: (report: SessionReport) => void;
  readonly onSubmitted: (log: SubmittedLog) => void;
  /** Writes a line of the log files. */
  readonly onLine: (line: string) => void;
  readonly onEvent?: ((path: string, body: string) => void) | undefined;
  readonly onWarning: (message: string) => void;
  readonly onError: (error: unknown) => void;
}

/** How long a worker may take to start, and to end, in ms. */
const START_TIMEOUT = 30_000;
const END_TIMEOUT = 5_000;
/** The longest wait for an answer of a worker, in ms. */
const ANSWER_TIMEOUT = 5_000;
/** A worker that ended sooner than this after its start is started again only after a while; both in ms. */
const SHORT_LIFE = 5_000;
const RESTART_DELAY = 1_000;

const NO_FIGURES: WorkerFigures = { connections: 0, players: 0, bytesOut: 0, counters: newCounters(), playersOf: {} };

/** A worker, and what the main process holds for it. */
interface Running {
  readonly process: Worker;
  readonly number: number;
  readonly since: number;
  /** The places that its players have taken. */
  readonly tickets: Map<number, Ticket>;
  figures: WorkerFigures;
  /** Its sessions, for the log if it dies. */
  readonly sessions: Map<string, SessionInfo>;
}

/**
 * The workers of a server: processes that accept the connections of players on the same ports and serve them. All
 * points live in the main process, which gives them to the workers once each; requests that are not for players come
 * back to it.
 */
export class Workers implements Listener, OtherSessions {
  readonly name = 'http';
  readonly groupBytes = 0;
  readonly #options: WorkersOptions;
  readonly #running = new Map<number, Running>();
  readonly #answers = new Map<number, (message: FromWorker & { kind: 'answer' }) => void>();
  readonly #passedOn: PassedOn;
  /** Bytes and counters of workers that have died. */
  #bytesBefore = 0;
  readonly #countersBefore = newCounters();
  #asks = 0;
  #folder = '';
  /** True once all have started. */
  #complete = false;
  #closing = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
    const feeds = new FeedServer((path) => {
      const point = options.points.get(path);
      return point && { broadcast: point.broadcast, demand: (pulls) => demand(point, parsePullChain(pulls)) };
    });
    this.#passedOn = new PassedOn({ client: options.http, points: (socket: Socket) => feeds.serve(socket) });
  }

  get connections(): number {
    return this.#sum(({ connections }) => connections);
  }

  get players(): number {
    return this.#sum(({ players }) => players);
  }

  get bytesOut(): number {
    return this.#bytesBefore + this.#sum(({ bytesOut }) => bytesOut);
  }

  /** What the workers' copies of broadcasts dropped; what they received came from here. */
  get counters(): TotalCounters {
    const sum = newCounters();
    addCounters(sum, this.#countersBefore);
    for (const { figures } of this.#running.values()) addCounters(sum, figures.counters);
    return { ...sum, bytesIn: 0, packetsIn: 0 };
  }

  /** The players of a point, in all workers. */
  playersOf(path: string): number {
    return this.#sum(({ playersOf }) => playersOf[path] ?? 0);
  }

  /** Tells the workers that the configuration has changed. */
  reload(): void {
    this.#tellAll({ kind: 'config', config: this.#options.config() });
  }

  /** Tells the workers of a point that a push created. */
  created(point: PublishingPoint): void {
    this.#tellAll({ kind: 'point', created: createdPoint(point) });
  }

  /** Tells the workers that a point is gone. */
  removed(path: string): void {
    this.#tellAll({ kind: 'point', removed: path });
  }

  async start(): Promise<ServerPorts> {
    this.#folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
    await this.#passedOn.listen(socketOf(this.#folder, 0));
    cluster.setupPrimary({
      exec: fileURLToPath(new URL('./worker-process.js', import.meta.url)),
      args: [],
      serialization: 'advanced',
    });
    const numbers = Array.from({ length: this.#options.count }, (_, index) => index + 1);
    try {
      const [ports = {}] = await Promise.all(numbers.map((number) => this.#startOne(number)));
      this.#complete = true;
      return ports;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    const all = [...this.#running.values()];
    this.#tellAll({ kind: 'close' });
    await Promise.all(all.map(({ process }) => ended(process)));
    this.#passedOn.close();
    await this.#options.http.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async sessions(): Promise<readonly SessionInfo[]> {
    const all = [...this.#running.values()];
    const lists = await Promise.all(all.map((each) => this.#ask(each, (ask) => ({ kind: 'list', ask, filter: {} }))));
    return lists.flatMap((answer) => answer?.sessions ?? []);
  }

  async end(id: string): Promise<boolean> {
    const worker = this.#running.get(Number(id.split('.')[1]));
    const answer = worker && (await this.#ask(worker, (ask) => ({ kind: 'stop', ask, id })));
    return answer?.found ?? false;
  }

  #sum(figure: (figures: WorkerFigures) => number): number {
    let sum = 0;
    for (const { figures } of this.#running.values()) sum += figure(figures);
    return sum;
  }

  #startOne(number: number): Promise<ServerPorts> {
    const { config, count, points, onEvent } = this.#options;
    const process = cluster.fork();
    const running: Running = {
      process,
      number,
      since: performance.now(),
      tickets: new Map(),
      figures: NO_FIGURES,
      sessions: new Map(),
    };
    this.#running.set(number, running);
    const start = (): ToWorker => ({
      kind: 'start',
      config: config(),
      worker: number,
      processes: count + 1,
      folder: this.#folder,
      events: onEvent !== undefined,
      points: [...points].filter(({ configured }) => !configured).map((point) => createdPoint(point)),
    });
    const started = new Promise<ServerPorts>((resolve, reject) => {
      const late = setTimeout(
        () => reject(new WmError('WM_FAILED', `Worker ${number} did not start.`)),
        START_TIMEOUT,
      ).unref();
      process.on('message', (message: FromWorker) => {
        if (message.kind === 'loaded') tell(process, start());
        else if (message.kind === 'started') resolve(message.ports);
        else if (message.kind === 'failed') reject(new WmError(message.code, message.message));
        else this.#take(running, message);
      });
      process.once('exit', (code, signal) => {
        clearTimeout(late);
        reject(new WmError('WM_FAILED', `Worker ${number} ended at its start.`));
        this.#gone(running, signal ?? `exit code ${code}`);
      });
    });
    return started;
  }

  #take(running: Running, message: FromWorker): void {
    const { onBegin, onEnd, onSubmitted, onLine, onEvent, onWarning, onError } = this.#options;
    switch (message.kind) {
      case 'begun':
        running.sessions.set(message.info.id, message.info);
        onBegin(message.info);
        break;
      case 'ended':
        running.sessions.delete(message.report.id);
        onEnd(message.report);
        break;
      case 'submitted':
        onSubmitted(message.log);
        break;
      case 'line':
        onLine(message.line);
        break;
      case 'event':
        onEvent?.(message.path, message.body);
        break;
      case 'warning':
        onWarning(message.message);
        break;
      case 'error':
        onError(Object.assign(new Error(message.message), { stack: message.stack }));
        break;
      case 'figures':
        running.figures = message.figures;
        break;
      case 'take':
        void this.#takePlace(running, message);
        break;
      case 'release':
        running.tickets.get(message.ask)?.release();
        running.tickets.delete(message.ask);
        break;
      case 'answer':
        this.#answers.get(message.ask)?.(message);
    }
  }

  async #takePlace(running: Running, { ask, wish }: FromWorker & { kind: 'take' }): Promise<void> {
    try {
      const point = this.#options.points.get(wish.path);
      const closed = point && closedReason(point);
      if (closed) throw closed;
      const ticket = await this.#options.limits.take(wish);
      if (this.#running.get(running.number) !== running) {
        ticket.release();
        return;
      }
      running.tickets.set(ask, ticket);
      tell(running.process, { kind: 'taken', ask });
    } catch (error) {
      const kind = error instanceof Refusal ? error.kind : 'failed';
      tell(running.process, { kind: 'taken', ask, refusal: { kind, message: messageOf(error) } });
    }
  }

  /** A worker has ended: its players are gone, and another one takes its place. */
  #gone(running: Running, how: string): void {
    const { number, tickets, sessions, figures } = running;
    if (this.#running.get(number) === running) this.#running.delete(number);
    for (const ticket of tickets.values()) ticket.release();
    this.#bytesBefore += figures.bytesOut;
    addCounters(this.#countersBefore, figures.counters);
    for (const { id, since, entry: _, lost, ...facts } of sessions.values()) {
      this.#options.onEnd({ id, ...facts, milliseconds: Date.now() - since, skippedPackets: lost });
    }
    // A start that fails is told by its error.
    if (this.#closing || !this.#complete) return;
    const lost = sessions.size === 1 ? '1 player' : `${sessions.size} players`;
    this.#options.onWarning(`Worker ${number} ended (${how}) and is started again; ${lost} lost the connection.`);
    const restart = () => {
      if (!this.#closing) this.#startOne(number).catch((error: unknown) => this.#options.onError(error));
    };
    if (performance.now() - running.since > SHORT_LIFE) restart();
    else setTimeout(restart, RESTART_DELAY).unref();
  }

  /** Asks a worker; undefined if it does not answer. */
  #ask(
    { process }: Running,
    message: (ask: number) => ToWorker,
  ): Promise<(FromWorker & { kind: 'answer' }) | undefined> {
    const ask = ++this.#asks;
    return new Promise((resolve) => {
      const done = (answer?: FromWorker & { kind: 'answer' }) => {
        clearTimeout(timer);
        this.#answers.delete(ask);
        resolve(answer);
      };
      const timer = setTimeout(done, ANSWER_TIMEOUT);
      this.#answers.set(ask, done);
      tell(process, message(ask));
    });
  }

  #tellAll(message: ToWorker): void {
    for (const { process } of this.#running.values()) tell(process, message);
  }
}

/** Settings cannot be sent as they are, but the workers have the same configuration. */
function createdPoint({ path, model }: PublishingPoint): CreatedPoint {
  return { path, model };
}

function tell(process: Worker, message: ToWorker): void {
  // A worker that has just died takes no message; its end is noticed anyway.
  if (process.isConnected()) process.send(message, undefined, undefined, () => {});
}

async function demand(point: PublishingPoint, chain: PullChain): Promise<void> {
  await point.feeder?.demand(chain);
}

/** Resolves once a worker has ended; kills it if that takes too long. */
function ended(process: Worker): Promise<void> {
  return new Promise((resolve) => {
    if (process.isDead()) {
      resolve();
      return;
    }
    const timer = setTimeout(() => process.process.kill('SIGKILL'), END_TIMEOUT);
    process.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
