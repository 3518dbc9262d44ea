import { mkdtemp, rm } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LoginMemory } from '../../auth/login-memory.js';
import { FeedServer } from '../../cluster/feed-server.js';
import { messageOf, WmError } from '../../errors.js';
import type { AddressList } from '../../http/address-list.js';
import type { Admission } from '../../http/admission.js';
import { peerOf } from '../../http/peer.js';
import type { HttpServer } from '../../http/server.js';
import { readResendRequest } from '../../mmsp/messages/resend.js';
import type { Limits } from '../../playback/limits.js';
import type { OtherSessions, SessionInfo, SessionReport } from '../../playback/registry.js';
import type { SessionIds } from '../../playback/session-ids.js';
import { type PullChain, parsePullChain } from '../../receiving/pull-chain.js';
import { Refusal } from '../../refusal.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import type { TotalCounters } from '../admin/totals.js';
import type { ServerConfig } from '../config.js';
import { closedReason } from '../content/programs.js';
import type { LentPort, Listener, PortName, ServerPorts } from '../listeners/listener.js';
import type { PublishingPoint, PublishingPoints } from '../points/points.js';
import { WorkerConnections } from './connections.js';
import { Draining } from './draining.js';
import { Fleet, type ProcessView } from './fleet.js';
import { Front } from './front.js';
import { giveSocket, handOver, takeOver } from './handover.js';
import {
  type ClientMessage,
  type CreatedPoint,
  type DatagramMessage,
  type FromWorker,
  MESSAGES_VERSION,
  socketOf,
  type ToWorker,
} from './messages.js';
import { PassedOn } from './passing.js';
import { Patience } from './patience.js';
import type { RunningWorker } from './running.js';

/** The main process, as its workers need it. */
export interface WorkersOptions {
  /** The configuration of the server. */
  readonly config: () => ServerConfig;
  /** Returns the current configuration of a worker. */
  readonly workerConfig: () => ServerConfig;
  /** The number of workers. */
  readonly count: number;
  /** The ports and players of a server that had no workers until now. */
  readonly own?: OwnPlayers | undefined;
  /** Where sessions live. */
  readonly ids: SessionIds;
  readonly points: PublishingPoints;
  readonly limits: Limits;
  readonly logins: LoginMemory;
  /** Which connections the server accepts. */
  readonly admission: Admission;
  /** The proxies that name their clients by the PROXY protocol. */
  readonly proxies: AddressList | undefined;
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

/** What the main process goes on with when its server gets workers while it runs. */
export interface OwnPlayers {
  readonly ports: ServerPorts;
  /** The ports that the workers serve from now on. */
  readonly lent: readonly LentPort[];
}

/** How long a worker may take to start, in ms. */
const START_TIMEOUT = 60_000;

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
  readonly #fleet = new Fleet();
  readonly #passedOn: PassedOn;
  readonly #front: Front;
  readonly #connections: WorkerConnections;
  #folder = '';
  #ports: ServerPorts = {};
  /** True once all have started. */
  #complete = false;
  #closed: Promise<void> | undefined;
  readonly #patience = new Patience();
  /** The number of the worker that got the last connection of each port. */
  readonly #turns = new Map<PortName, number>();
  readonly #draining = new Map<RunningWorker, Draining>();
  #upgrading = false;

  constructor(options: WorkersOptions) {
    this.#options = options;
    const feeds = new FeedServer((path) => {
      const point = options.points.get(path);
      return point && { broadcast: point.broadcast, demand: (pulls) => demand(point, parsePullChain(pulls)) };
    });
    this.#passedOn = new PassedOn({ client: options.http, points: (socket: Socket) => feeds.serve(socket) });
    options.logins.share((login) => this.#fleet.tell({ kind: 'login', login }));
    this.#connections = new WorkerConnections(options.admission, options.proxies);
    this.#front = new Front({
      connections: this.#connections,
      give: (socket, port, address) => this.#give(socket, port, address),
      onDatagram: (bytes, address) => {
        const request = readResendRequest(bytes);
        if (request) this.#forward({ kind: 'datagram', clientId: request.clientId, bytes, address });
      },
      onError: options.onError,
    });
  }

  get connections(): number {
    return this.#fleet.sum(({ connections }) => connections);
  }

  get players(): number {
    return this.#fleet.sum(({ players }) => players);
  }

  get bytesOut(): number {
    return this.#fleet.bytesOut;
  }

  get counters(): TotalCounters {
    return this.#fleet.counters;
  }

  /** The workers, as operators see them. */
  get processes(): ProcessView[] {
    return this.#fleet.views;
  }

  /** The players of a point, in all workers. */
  playersOf(path: string): number {
    return this.#fleet.sum(({ playersOf }) => playersOf[path] ?? 0);
  }

  /** Tells the workers that the configuration has changed. */
  reload(): void {
    this.#fleet.tell({ kind: 'config', config: this.#options.workerConfig() });
  }

  /** Tells the workers of a point that a push created. */
  created(point: PublishingPoint): void {
    this.#fleet.tell({ kind: 'point', created: createdPoint(point) });
  }

  /** Tells the workers that a point is gone. */
  removed(path: string): void {
    this.#fleet.tell({ kind: 'point', removed: path });
  }

  async start(): Promise<ServerPorts> {
    const { count, config, own } = this.#options;
    try {
      this.#folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
      await this.#passedOn.listen(socketOf(this.#folder, 0));
      this.#ports = own?.ports ?? (await this.#front.listen(config()));
      await Promise.all(Array.from({ length: count }, () => this.#startOne()));
      // Its workers may have been told to end before they could hear it.
      this.#refuseWhileClosing();
      if (own) this.#front.adopt(own.lent);
      this.#complete = true;
      return this.#ports;
    } catch (error) {
      await this.close();
      throw error;
    }
  }

  /** Further calls wait for the first one. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const draining of this.#draining.values()) draining.stop();
    const all = [...this.#fleet];
    const front = this.#front.close();
    this.#fleet.tell({ kind: 'close' });
    // Those that are still starting have no players, and might not hear it.
    for (const { serves, process } of all) if (!serves) process.kill('SIGKILL');
    await Promise.all([front, ...all.map((worker) => worker.ended())]);
    this.#passedOn.close();
    await this.#options.http.close();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  async sessions(): Promise<readonly SessionInfo[]> {
    const all = [...this.#fleet].filter(({ serves }) => serves);
    const lists = await Promise.all(all.map((each) => each.ask((ask) => ({ kind: 'list', ask, filter: {} }))));
    return lists.flatMap((answer) => answer?.sessions ?? []);
  }

  async end(id: string): Promise<boolean> {
    const worker = this.#fleet.get(Number(id.split('.')[1]));
    const answer = await worker?.ask((ask) => ({ kind: 'stop', ask, id }));
    return answer?.found ?? false;
  }

  /**
   * Starts as many workers again, with the code that is on the disk now, and has them take all new connections. The old
   * ones keep their players until these go, or the bound is over. If one of the new ones does not start, nothing changes.
   *
   * @param bound in ms
   * @throws WmError WM_FAILED if one did not start; WM_USAGE while earlier upgrades are under way
   */
  async upgrade(bound: number): Promise<void> {
    const { count, onWarning } = this.#options;
    if (this.#upgrading) throw new WmError('WM_USAGE', 'An upgrade is under way already.');
    if (this.#fleet.size + count >= placesFor(count)) {
      throw new WmError('WM_USAGE', 'Workers of earlier upgrades still have players: wait until they have gone.');
    }
    this.#upgrading = true;
    const started: RunningWorker[] = [];
    try {
      for (let each = 0; each < count; each++) {
        this.#refuseWhileClosing();
        started.push(this.#fleet.create({ onTrial: true }));
        await this.#started(started.at(-1)!);
      }
      const ended = started.find(({ state }) => state !== 'ready');
      if (ended) throw new WmError('WM_FAILED', `Worker ${ended.number} ended after its start.`);
      // From here on nothing can fail. Old ones may have died and been started again meanwhile.
      const old = this.#fleet.serving;
      for (const worker of started) this.#serve(worker);
      for (const worker of old) this.#draining.set(worker, new Draining(worker, { bound, onWarning }));
    } catch (error) {
      for (const { process } of started) process.kill('SIGKILL');
      // Their places are free for another try.
      await Promise.all(started.map((worker) => worker.ended()));
      throw error;
    } finally {
      this.#upgrading = false;
    }
  }

  /** Takes a datagram of MMSP about a client that the main process does not have. */
  strangersDatagram(clientId: number, bytes: Buffer, address: string): void {
    this.#forward({ kind: 'datagram', clientId, bytes, address });
  }

  /** Gives a connection to the next worker. @returns false while no worker runs */
  #give(socket: Socket, port: PortName, address: string): boolean {
    const { serving } = this.#fleet;
    const next = serving.find(({ number }) => number > (this.#turns.get(port) ?? 0)) ?? serving[0];
    if (!next) return false;
    this.#turns.set(port, next.number);
    const connection = this.#connections.given(next, address);
    giveSocket(next.process, socket, { kind: 'accepted', port, connection } satisfies ToWorker);
    return true;
  }

  async #startOne(): Promise<void> {
    const running = this.#fleet.create();
    await this.#started(running);
    this.#serve(running);
  }

  /** @throws WmError */
  #refuseWhileClosing(): void {
    if (this.#closed) throw new WmError('WM_FAILED', 'The server is closing.');
  }

  /** Waits until a worker has started. */
  #started(running: RunningWorker): Promise<void> {
    const { process, number } = running;
    return new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => {
        reject(new WmError('WM_FAILED', `Worker ${number} did not start in ${START_TIMEOUT / 1000} s.`));
        process.kill('SIGKILL');
      }, START_TIMEOUT).unref();
      process.on('message', (message: FromWorker, handle) => {
        if (message.kind === 'loaded') {
          running.version = message.version;
          this.#tellStart(running);
        } else if (message.kind === 'started') {
          clearTimeout(late);
          running.state = 'ready';
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
        reject(new WmError('WM_FAILED', `Worker ${number} ended at its start (${signal ?? `exit code ${code}`}).`));
        this.#gone(running, signal ?? `exit code ${code}`);
      });
    });
  }

  /** Gives a worker that has started connections from now on, unless an upgrade has taken over while it started. */
  #serve(running: RunningWorker): void {
    if (running.state !== 'ready') return;
    if (!running.onTrial && this.#fleet.serving.length >= this.#options.count) {
      running.dismiss();
      return;
    }
    running.state = 'serving';
    running.onTrial = false;
    this.#fleet.tellWhoServes();
    this.#front.flush();
  }

  #tellStart(running: RunningWorker): void {
    const { process, number } = running;
    running.state = 'starting';
    const { workerConfig, count, ids, logins, points, onEvent, own } = this.#options;
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
      mainServes: own !== undefined,
    };
    const udp = lentBy(own, 'mms')?.udp ?? this.#front.udp;
    if (process.connected) process.send(start, udp, { keepOpen: true }, () => {});
  }

  /** Takes a connection that a worker hands over, or gives it to the worker that it is for. */
  #passOn(message: ClientMessage, socket: Socket | undefined): void {
    // The client may have gone on the way.
    if (!socket) return;
    takeOver(socket, message);
    const { to, port } = message;
    const [worker, own] = [this.#fleet.get(to), lentBy(this.#options.own, port)];
    if (to === 0 && port === 'http') this.#options.http.take(socket);
    else if (to === 0 && own) own.take(socket);
    else if (worker) {
      const connection = this.#connections.moved(worker, socket.remoteAddress ?? '');
      handOver(worker.process, socket, peerOf(socket), Buffer.alloc(0), { kind: 'client', to, port, connection });
    } else socket.destroy();
  }

  #forward(message: DatagramMessage): void {
    const { worker } = this.#options.ids.homeOf(message.clientId);
    if (worker === 0) lentBy(this.#options.own, 'mms')?.takeDatagram?.(message.bytes, message.address);
    else this.#fleet.get(worker)?.tell(message);
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
      case 'closed':
        this.#connections.over(running, message.connections);
        break;
      case 'datagram':
        this.#forward(message);
        break;
      case 'login':
        this.#options.logins.take(message.login);
        for (const worker of this.#fleet) if (worker !== running) worker.tell(message);
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
    const { tickets, sessions, onTrial } = running;
    const isReplaced = running.state === 'draining';
    this.#fleet.gone(running);
    this.#draining.get(running)?.stop();
    this.#draining.delete(running);
    for (const ticket of tickets.values()) ticket.release();
    this.#connections.over(running);
    for (const { id, since, entry: _, lost, ...facts } of sessions.values()) {
      this.#options.onEnd({ id, ...facts, milliseconds: Date.now() - since, skippedPackets: lost });
    }
    if (isReplaced && sessions.size > 0 && !this.#closed) {
      this.#options.onWarning(`Worker ${running.number}, which was replaced, ended (${how}); ${lossOf(running)}.`);
    }
    // A start that fails is told by its error.
    if (this.#closed || !this.#complete || isReplaced || onTrial) return;
    this.#restart(running, how);
  }

  /** Starts a worker in place of one that has ended; later and later if they keep ending. */
  #restart(running: RunningWorker, how: string): void {
    const { number, since } = running;
    const delay = this.#patience.ended(performance.now() - since);
    const when = delay === 0 ? '' : ` in ${delay / 1000} s`;
    this.#options.onWarning(`Worker ${number} ended (${how}) and is started again${when}; ${lossOf(running)}.`);
    if (delay === 0) this.#replace();
    else setTimeout(() => this.#replace(), delay).unref();
  }

  #replace(): void {
    // An upgrade may have started all that are needed.
    if (this.#closed || this.#fleet.serving.length >= this.#options.count) return;
    // If it ends at its start, `#gone` comes back here.
    this.#startOne().catch((error: unknown) => this.#options.onError(error));
  }
}

function lentBy(own: OwnPlayers | undefined, port: PortName): LentPort | undefined {
  return own?.lent.find(({ name }) => name === port);
}

/** Says what the end of a worker meant for its players. */
function lossOf({ sessions }: RunningWorker): string {
  return `${sessions.size === 1 ? '1 player' : `${sessions.size} players`} lost the connection`;
}

/** Settings cannot be sent as they are, but the workers have the same configuration. */
function createdPoint({ path, model }: PublishingPoint): CreatedPoint {
  return { path, model };
}

async function demand(point: PublishingPoint, chain: PullChain): Promise<void> {
  await point.feeder?.demand(chain);
}
