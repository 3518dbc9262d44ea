import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoginMemory } from '../../auth/login-memory.js';
import { FeedServer } from '../../cluster/feed-server.js';
import { messageOf, WmError } from '../../errors.js';
import { peerOf } from '../../http/peer.js';
import type { HttpServer } from '../../http/server.js';
import { readResendRequest } from '../../mmsp/messages/resend.js';
import type { Limits } from '../../playback/limits.js';
import type { OtherSessions, SessionInfo, SessionReport } from '../../playback/registry.js';
import type { SessionIds } from '../../playback/session-ids.js';
import { type PullChain, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { addCounters, newCounters, type TotalCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import { closedReason } from '../content/programs.js';
import type { Listener, ServerPorts } from '../listeners/listener.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import { Front } from './front.js';
import { giveSocket, handOver, takeOver } from './handover.js';
import {
  type ClientMessage,
  type CreatedPoint,
  type DatagramMessage,
  type FromWorker,
  MESSAGES_VERSION,
  type PortName,
  socketOf,
  type ToWorker,
  type WorkerFigures,
} from './messages.js';
import { PassedOn } from './passing.js';
import { RunningWorker } from './running.js';

/** The main process, as its workers need it. */
export interface WorkersOptions {
  /** The configuration of the server. */
  readonly config: () => ServerConfig;
  /** Returns the current configuration of a worker. */
  readonly workerConfig: () => ServerConfig;
  /** The number of workers. */
  readonly count: number;
  /** Where sessions live. */
  readonly ids: SessionIds;
  readonly points: PublishingPoints;
  readonly limits: Limits;
  readonly logins: LoginMemory;
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

/** How long a worker may take to start, in ms. */
const START_TIMEOUT = 30_000;
/** A worker that ends sooner than this after its start was not worth starting; in ms. */
const SHORT_LIFE = 60_000;
/** The wait before it is started again, which doubles with each such end up to the longest; in ms. */
const RESTART_DELAY = 1_000;
const LONGEST_DELAY = 60_000;

/** Returns the largest number of processes of a server: each worker may have two that it has replaced. */
export function placesFor(workers: number): number {
  return 1 + 3 * workers;
}

/**
 * The workers of a server: processes that serve players. The main process accepts all connections and gives them to
 * the workers in turn. All points live in the main process, which gives them to the workers once each; requests that
 * are not for players come back to it.
 */
export class Workers implements Listener, OtherSessions {
  readonly name = 'http';
  readonly groupBytes = 0;
  readonly #options: WorkersOptions;
  readonly #running = new Map<number, RunningWorker>();
  readonly #passedOn: PassedOn;
  readonly #front: Front;
  /** Bytes and counters of workers that have ended. */
  #bytesBefore = 0;
  readonly #countersBefore = newCounters();
  #folder = '';
  #ports: ServerPorts = {};
  /** True once all have started. */
  #complete = false;
  #closing = false;
  /** How many workers in a row ended soon after their start. */
  #shortLives = 0;
  /** The number of the worker that got the last connection of each port. */
  readonly #turns = new Map<PortName, number>();

  constructor(options: WorkersOptions) {
    this.#options = options;
    const feeds = new FeedServer((path) => {
      const point = options.points.get(path);
      return point && { broadcast: point.broadcast, demand: (pulls) => demand(point, parsePullChain(pulls)) };
    });
    this.#passedOn = new PassedOn({ client: options.http, points: (socket: Socket) => feeds.serve(socket) });
    options.logins.share((login) => this.#tellAll({ kind: 'login', login }));
    this.#front = new Front({
      give: (socket, port) => this.#give(socket, port),
      onDatagram: (bytes, address) => {
        const request = readResendRequest(bytes);
        if (request) this.#forward({ kind: 'datagram', clientId: request.clientId, bytes, address });
      },
      onError: options.onError,
    });
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
    this.#tellAll({ kind: 'config', config: this.#options.workerConfig() });
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
    const { count, config } = this.#options;
    try {
      this.#folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
      await this.#passedOn.listen(socketOf(this.#folder, 0));
      this.#ports = await this.#front.listen(config());
      await Promise.all(Array.from({ length: count }, () => this.#startOne()));
      this.#complete = true;
      return this.#ports;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    const all = [...this.#running.values()];
    const front = this.#front.close();
    this.#tellAll({ kind: 'close' });
    await Promise.all([front, ...all.map((worker) => worker.ended())]);
    this.#passedOn.close();
    await this.#options.http.close();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  async sessions(): Promise<readonly SessionInfo[]> {
    const all = [...this.#running.values()].filter(({ state }) => state === 'serving' || state === 'draining');
    const lists = await Promise.all(all.map((each) => each.ask((ask) => ({ kind: 'list', ask, filter: {} }))));
    return lists.flatMap((answer) => answer?.sessions ?? []);
  }

  async end(id: string): Promise<boolean> {
    const worker = this.#running.get(Number(id.split('.')[1]));
    const answer = await worker?.ask((ask) => ({ kind: 'stop', ask, id }));
    return answer?.found ?? false;
  }

  #sum(figure: (figures: WorkerFigures) => number): number {
    let sum = 0;
    for (const { figures } of this.#running.values()) sum += figure(figures);
    return sum;
  }

  /** Gives a connection to the next worker. @returns false while no worker runs */
  #give(socket: Socket, port: PortName): boolean {
    // One that was started again is the last of the map, whatever its number.
    const serving = [...this.#running.values()]
      .filter(({ state }) => state === 'serving')
      .sort((a, b) => a.number - b.number);
    const next = serving.find(({ number }) => number > (this.#turns.get(port) ?? 0)) ?? serving[0];
    if (!next) return false;
    this.#turns.set(port, next.number);
    giveSocket(next.process, socket, { kind: 'accepted', port } satisfies ToWorker);
    return true;
  }

  #startOne(): Promise<void> {
    const running = new RunningWorker(this.#freeNumber());
    const { process, number } = running;
    this.#running.set(number, running);
    return new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new WmError('WM_FAILED', `Worker ${number} did not start in ${START_TIMEOUT / 1000} s.`));
        process.kill('SIGKILL');
      }, START_TIMEOUT).unref();
      process.on('message', (message: FromWorker, handle) => {
        if (message.kind === 'loaded') this.#tellStart(running);
        else if (message.kind === 'started') {
          clearTimeout(late);
          running.state = 'serving';
          this.#tellWhoRuns();
          this.#front.flush();
          resolve();
        } else if (message.kind === 'failed') reject(new WmError(message.code, message.message));
        else if (message.kind === 'client') this.#passOn(message, handle as Socket | undefined);
        else this.#take(running, message);
      });
      process.on('error', (error) => {
        reject(error);
        if (process.pid === undefined) this.#gone(running, messageOf(error));
      });
      process.once('exit', (code, signal) => {
        clearTimeout(late);
        reject(new WmError('WM_FAILED', `Worker ${number} ended at its start.`));
        this.#gone(running, signal ?? `exit code ${code}`);
      });
    });
  }

  #freeNumber(): number {
    let number = 1;
    while (this.#running.has(number)) number++;
    return number;
  }

  #tellStart(running: RunningWorker): void {
    const { process, number } = running;
    running.state = 'starting';
    const { workerConfig, count, ids, logins, points, onEvent } = this.#options;
    const start: ToWorker = {
      kind: 'start',
      version: MESSAGES_VERSION,
      ports: this.#ports,
      config: workerConfig(),
      node: ids.home.node,
      nodes: ids.nodes,
      worker: number,
      processes: placesFor(count),
      folder: this.#folder,
      logins: logins.snapshot(),
      events: onEvent !== undefined,
      points: [...points].filter(({ configured }) => !configured).map((point) => createdPoint(point)),
    };
    if (process.connected) process.send(start, this.#front.udp, { keepOpen: true }, () => {});
  }

  /** Takes a connection that a worker hands over, or gives it to the worker that it is for. */
  #passOn(message: ClientMessage, socket: Socket | undefined): void {
    // The client may have gone on the way.
    if (!socket) return;
    takeOver(socket, message);
    const { to, port } = message;
    const worker = this.#running.get(to);
    if (to === 0 && port === 'http') this.#options.http.take(socket);
    else if (worker) handOver(worker.process, socket, peerOf(socket), Buffer.alloc(0), { kind: 'client', to, port });
    else socket.destroy();
  }

  #forward(message: DatagramMessage): void {
    this.#running.get(this.#options.ids.homeOf(message.clientId).worker)?.tell(message);
  }

  #take(running: RunningWorker, message: FromWorker): void {
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
      case 'datagram':
        this.#forward(message);
        break;
      case 'login':
        this.#options.logins.take(message.login);
        for (const worker of this.#running.values()) if (worker !== running) worker.tell(message);
        break;
      case 'take':
        void this.#takePlace(running, message);
        break;
      case 'release':
        running.tickets.get(message.ask)?.release();
        running.tickets.delete(message.ask);
        break;
      case 'answer':
        running.answered(message);
    }
  }

  async #takePlace(running: RunningWorker, { ask, wish }: FromWorker & { kind: 'take' }): Promise<void> {
    try {
      const point = this.#options.points.get(wish.path);
      const closed = point && closedReason(point);
      if (closed) throw closed;
      const ticket = await this.#options.limits.take(wish);
      if (running.state === 'gone') {
        ticket.release();
        return;
      }
      running.tickets.set(ask, ticket);
      running.tell({ kind: 'taken', ask });
    } catch (error) {
      const kind = error instanceof Refusal ? error.kind : 'failed';
      running.tell({ kind: 'taken', ask, refusal: { kind, message: messageOf(error) } });
    }
  }

  /** A worker has ended: its players are gone, and another one takes its place. */
  #gone(running: RunningWorker, how: string): void {
    const { number, tickets, sessions, figures } = running;
    running.state = 'gone';
    this.#running.delete(number);
    this.#tellWhoRuns();
    for (const ticket of tickets.values()) ticket.release();
    this.#bytesBefore += figures.bytesOut;
    addCounters(this.#countersBefore, figures.counters);
    for (const { id, since, entry: _, lost, ...facts } of sessions.values()) {
      this.#options.onEnd({ id, ...facts, milliseconds: Date.now() - since, skippedPackets: lost });
    }
    // A start that fails is told by its error.
    if (this.#closing || !this.#complete) return;
    this.#restart(running, how);
  }

  /** Starts a worker in place of one that has ended; later and later if they keep ending. */
  #restart({ number, since, sessions }: RunningWorker, how: string): void {
    const { onWarning, onError } = this.#options;
    const short = performance.now() - since < SHORT_LIFE;
    this.#shortLives = short ? this.#shortLives + 1 : 0;
    const first = this.#shortLives <= 1;
    const delay = first ? 0 : Math.min(LONGEST_DELAY, RESTART_DELAY * 2 ** Math.min(this.#shortLives - 2, 16));
    const lost = sessions.size === 1 ? '1 player' : `${sessions.size} players`;
    const when = delay === 0 ? '' : ` in ${delay / 1000} s`;
    onWarning(`Worker ${number} ended (${how}) and is started again${when}; ${lost} lost the connection.`);
    const restart = () => {
      // If it ends at its start, `#gone` comes back here.
      if (!this.#closing) this.#startOne().catch((error: unknown) => onError(error));
    };
    if (delay === 0) restart();
    else setTimeout(restart, delay).unref();
  }

  /** A session of a worker that is gone is of nobody: any worker may say so. */
  #tellWhoRuns(): void {
    const numbers = [...this.#running.values()]
      .filter(({ state }) => state === 'serving' || state === 'draining')
      .map(({ number }) => number);
    this.#tellAll({ kind: 'running', numbers });
  }

  #tellAll(message: ToWorker): void {
    for (const worker of this.#running.values()) worker.tell(message);
  }
}

/** Settings cannot be sent as they are, but the workers have the same configuration. */
function createdPoint({ path, model }: PublishingPoint): CreatedPoint {
  return { path, model };
}

async function demand(point: PublishingPoint, chain: PullChain): Promise<void> {
  await point.feeder?.demand(chain);
}
