import type { AddressList } from '../../http/address-list.js';
import { plainAddress } from '../../http/addresses.js';
import type { Attempt } from '../../playback/entrance.js';
import type { RunningSession, SessionCounts, SessionInfo } from '../../playback/registry.js';
import { countValue, EMPTY, type LogField, type LogValues, textValue } from '../../wmlog/fields.js';
import type { WmLog } from '../../wmlog/log.js';
import type { SubmittedLog } from '../../wmlog/submitted.js';
import { buildFileLine } from '../../wmlog/w3c.js';
import { contentValues } from './content-values.js';
import type { HostFacts } from './host-facts.js';
import { RateLimit, RateLimits } from './rate.js';
import { RefusedSessions } from './refused.js';

/** Where the logs of sessions go. */
export interface SessionLogsOptions {
  /** Takes a line of a log file. */
  readonly write: (line: string) => void;
  readonly host: Pick<HostFacts, 'values'>;
  /** Returns the number of players. */
  readonly players: () => number;
  /** The proxies that are believed when they name the addresses of their clients. */
  readonly proxies: AddressList;
  readonly onWarning: (message: string) => void;
  /** How long to wait for the log of a client that has stopped, in ms; default: 2 s. */
  readonly grace?: number;
  /** A monotonic clock in ms. */
  readonly now?: () => number;
  /** The time of day, for the lines. */
  readonly date?: () => Date;
}

const GRACE = 2_000;
/** How long to wait for it at most while the client stays connected, in ms: it may play what it has first. */
const LONGEST_WAIT = 60_000;
/** The logs of one session: one for each playlist entry, some of which are short. */
const LOGS_OF_SESSION = { burst: 60, perSecond: 0.2 };
/** The logs that one address may submit without a session. */
const LOGS_OF_ADDRESS = { burst: 60, perSecond: 1 };
/** A log this short a time before the end of a session is about all of it, in ms. */
const LAST_LOG = 5_000;
/** How much longer than possible a client may claim to have played, in s: clocks and starts differ. */
const SLACK = 60;
const WARNING_INTERVAL = 60_000;

/** The protocols whose clients submit logs. */
const WITH_LOGS: ReadonlySet<string> = new Set(['WMSP', 'MMSP', 'RTSP']);
/** The values of `protocol` ([MS-WMLOG] 2.1.39), by the names that sessions have. */
const PROTOCOLS: Readonly<Record<string, string>> = { WMSP: 'http', HTTP: 'http', MMSP: 'mms', RTSP: 'rtsp' };

/** The figures of plays that no line covers yet. */
interface Figures {
  bytes: number;
  packets: number;
  milliseconds: number;
}

/** What is known of one session of a protocol, which may play several times. */
interface Known {
  readonly id: string;
  readonly info: SessionInfo;
  /** When it began to play for the first time, on the monotonic clock. */
  readonly beganAt: number;
  readonly limit: RateLimit;
  /** The play that is running; undefined between plays. */
  running: { readonly session: RunningSession; since: number; covered: SessionCounts } | undefined;
  /** Plays that have ended. */
  readonly ended: Figures;
  /** The traffic of all its plays so far. */
  readonly total: { bytes: number; packets: number };
  /** What it played last; found out when a line needs it. */
  content: LogValues;
  /** From a Connect-Time Log. */
  connect: LogValues;
  loggedAt: number | undefined;
  /** When a line is written although the client sent none; undefined while it plays, and when all is written. */
  dueAt: number | undefined;
  /** The play that has ended last. */
  last: RunningSession | undefined;
  stoppedAt: number;
  /** Where in the file the first play began that no line covers, in ms. */
  startedAt: number | undefined;
  /** The size of its packets, which clients count with their padding. */
  packetSize: number;
}

const NOTHING: SessionCounts = { bytes: 0, packets: 0, lost: 0 };
const NO_FIGURES: Figures = { bytes: 0, packets: 0, milliseconds: 0 };

/**
 * Turns sessions and the logs of their clients into lines of the log file.
 *
 * A client's log is completed with what the server knows; the server's own fields are never taken from a client. A
 * session whose client sends no log gets a line with the server's figures.
 */
export class SessionLogs {
  readonly #options: SessionLogsOptions;
  readonly #grace: number;
  readonly #now: () => number;
  readonly #date: () => Date;
  /** Those that play, or have something that no line covers. */
  readonly #sessions = new Map<object, Known>();
  /** The others: they may play again, or send their log late. */
  readonly #settled = new WeakMap<object, Known>();
  readonly #addresses = new RateLimits(LOGS_OF_ADDRESS);
  readonly #refused: RefusedSessions;
  #timer: NodeJS.Timeout | undefined;
  #dropped = 0;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: SessionLogsOptions) {
    this.#options = options;
    this.#grace = options.grace ?? GRACE;
    this.#now = options.now ?? (() => performance.now());
    this.#date = options.date ?? (() => new Date());
    this.#refused = new RefusedSessions({
      write: (attempt, status) => this.#writeRefused(attempt, status),
      onDropped: (address) => this.#drop(address, 'is refused', 'line'),
      now: this.#now,
    });
  }

  /** An attempt to describe or play content has ended. */
  attempted(attempt: Attempt): void {
    this.#refused.ended(attempt);
  }

  /** A player begins to play. */
  began(info: SessionInfo, session: RunningSession): void {
    this.#refused.began(info.remoteAddress, info.path, info.protocol);
    const key = session.peer ?? session;
    const now = this.#now();
    let known = this.#knownBy(key);
    if (!known || known.info.path !== info.path) {
      if (known) this.#settle(key, known);
      known = {
        id: info.id,
        info,
        beganAt: now,
        limit: new RateLimit(LOGS_OF_SESSION, now),
        running: undefined,
        ended: { ...NO_FIGURES },
        total: { bytes: 0, packets: 0 },
        content: {},
        connect: {},
        loggedAt: undefined,
        dueAt: undefined,
        last: undefined,
        stoppedAt: now,
        packetSize: 0,
        startedAt: undefined,
      };
    }
    this.#sessions.set(key, known);
    known.running = { session, since: now, covered: NOTHING };
    known.dueAt = undefined;
    known.startedAt ??= session.content?.()?.startedAt;
  }

  /** A player has stopped playing, and may begin again. */
  stopped(session: RunningSession): void {
    const key = session.peer ?? session;
    const known = this.#sessions.get(key);
    if (known?.running?.session !== session) return;
    const { loggedAt } = known;
    const isCovered = loggedAt !== undefined && loggedAt >= known.running.since && this.#now() - loggedAt < LAST_LOG;
    this.#collect(known);
    known.running = undefined;
    known.last = session;
    known.stoppedAt = this.#now();
    if (!WITH_LOGS.has(known.info.protocol)) this.#settle(key, known);
    else {
      if (isCovered) Object.assign(known.ended, NO_FIGURES);
      known.dueAt = this.#now() + this.#grace;
      this.#wake();
    }
  }

  /** A client has submitted a log. */
  submitted({ log, peer, path, remoteAddress, client, protocol }: SubmittedLog): void {
    const known = peer && this.#knownBy(peer);
    if (!(known ? known.limit.take(this.#now()) : this.#addresses.take(remoteAddress, this.#now()))) {
      this.#drop(remoteAddress);
      return;
    }
    if (!log) return;
    if (log.kind === 'connect-time') {
      if (known) known.connect = log.values;
      return;
    }
    const figures = known && this.#collect(known);
    const own: LogValues = {
      ...this.#serverValues(this.#addressOf(log, remoteAddress), known?.info.user),
      // The URL of a multicast names a group, which belongs to no path of this server.
      ...(protocol === 'HTTP' ? {} : { 'cs-uri-stem': stemOf(path) }),
      ...(protocol === 'HTTP' ? ipOf(log) : {}),
      's-session-id': known ? textValue(known.id) : EMPTY,
      's-content-path': known?.content['s-content-path'] ?? EMPTY,
      'sc-bytes': figures ? countValue(figures.bytes) : EMPTY,
      's-pkts-sent': figures ? countValue(figures.packets) : EMPTY,
      'c-max-bandwidth': EMPTY,
      's-proxied': log.values['s-proxied'] ?? '0',
    };
    const agent = known?.info.client ?? client;
    const byDefault: LogValues = {
      'c-status': '200',
      ...(agent === '' ? {} : { 'cs-User-Agent': textValue(agent.slice(0, MAX_AGENT)) }),
    };
    const claimed = without(log.values, this.#impossible(log, known));
    this.#write({ ...byDefault, ...known?.connect, ...claimed, ...own });
    if (!known || !figures) return;
    known.loggedAt = this.#now();
    known.startedAt = undefined;
    Object.assign(known.ended, NO_FIGURES);
  }

  /** Writes the lines of all sessions that have stopped. Call at the end, after they have. */
  close(): void {
    clearTimeout(this.#timer);
    this.#refused.close();
    for (const [key, known] of this.#sessions) this.#settle(key, known);
  }

  /** Writes the lines that are due. Called by a timer while there are any. */
  sweep(): void {
    const now = this.#now();
    this.#refused.sweep();
    for (const [key, known] of this.#sessions) {
      if (known.dueAt === undefined || known.dueAt > now) continue;
      const mayFollow = known.last?.connected?.() === true && now - known.stoppedAt < LONGEST_WAIT;
      if (mayFollow && known.loggedAt === undefined) known.dueAt = now + this.#grace;
      else this.#settle(key, known);
    }
  }

  #wake(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.sweep();
      for (const { dueAt } of this.#sessions.values()) {
        if (dueAt === undefined) continue;
        this.#wake();
        break;
      }
    }, this.#grace / 4);
    this.#timer.unref();
  }

  /** Adds what the running play has sent since the last line to the figures, and returns them. */
  #collect(known: Known): Figures {
    const { running, ended, total } = known;
    if (!running) return ended;
    const content = running.session.content?.();
    known.content = { ...known.content, ...contentValues(content) };
    known.packetSize = Math.max(known.packetSize, content?.header?.packetSize ?? 0);
    const now = this.#now();
    const counts = running.session.counts();
    const bytes = Math.max(0, counts.bytes - running.covered.bytes);
    const packets = Math.max(0, counts.packets - running.covered.packets);
    ended.bytes += bytes;
    ended.packets += packets;
    total.bytes += bytes;
    total.packets += packets;
    ended.milliseconds += now - running.since;
    running.covered = counts;
    running.since = now;
    return ended;
  }

  /** Forgets a session; what no line covers gets one first. */
  #settle(key: object, known: Known): void {
    const figures = this.#collect(known);
    this.#sessions.delete(key);
    this.#settled.set(key, known);
    known.dueAt = undefined;
    known.last = undefined;
    if (known.loggedAt === undefined || figures.packets > 0) this.#writeOwn(known, figures);
    known.loggedAt = this.#now();
    known.startedAt = undefined;
    Object.assign(known.ended, NO_FIGURES);
  }

  #knownBy(key: object): Known | undefined {
    return this.#sessions.get(key) ?? this.#settled.get(key);
  }

  /** Writes a line with the server's figures, for a client that sent none. */
  #writeOwn(known: Known, { bytes, packets, milliseconds }: Figures): void {
    const { info, content, connect, id, startedAt } = known;
    const { protocol, transport, path, client, remoteAddress, user } = info;
    this.#write({
      ...connect,
      ...content,
      ...this.#serverValues(remoteAddress, user),
      'cs-uri-stem': stemOf(path),
      ...(startedAt === undefined ? {} : { 'c-starttime': countValue(startedAt / 1000) }),
      'x-duration': countValue(Math.ceil(milliseconds / 1000)),
      'c-rate': '1',
      // As Windows Media Services say that a client left without a report.
      'c-status': WITH_LOGS.has(protocol) ? NO_REPORT : '200',
      ...productValues(client),
      ...(milliseconds > 0 ? { avgbandwidth: countValue((bytes * 8_000) / milliseconds) } : {}),
      ...wayValues(protocol, transport),
      'sc-bytes': countValue(bytes),
      's-pkts-sent': countValue(packets),
      's-session-id': textValue(id),
      's-proxied': '0',
    });
  }

  /** Writes the line of a client that got nothing. */
  #writeRefused({ visitor, path, remoteAddress, user }: Attempt, status: number): void {
    this.#write({
      ...this.#serverValues(remoteAddress, user),
      ...productValues(visitor.client),
      ...wayValues(visitor.protocol, visitor.transport),
      'cs-uri-stem': stemOf(path),
      'x-duration': '0',
      'c-rate': '1',
      'c-status': String(status),
      'sc-bytes': '0',
      's-pkts-sent': '0',
      's-proxied': '0',
    });
  }

  #write(values: LogValues): void {
    const [date = '', time = ''] = this.#date().toISOString().split('T');
    this.#options.write(buildFileLine({ ...values, date, time: time.slice(0, 8) }));
  }

  /** Returns the fields that no client may state for itself. */
  #serverValues(address: string, user: string | undefined): LogValues {
    const plain = plainAddress(address);
    return {
      'c-dns': EMPTY,
      ...this.#options.host.values(plain, this.#options.players()),
      'c-ip': textValue(plain),
      'cs-user-name': textValue(user ?? EMPTY),
    };
  }

  /** Returns the address of a client: as its proxy names it, if that is believed, else that of the connection. */
  #addressOf({ values }: WmLog, remoteAddress: string): string {
    const named = values['c-ip'];
    const isForwarded = values['s-proxied'] === '1' && named !== undefined && named !== '0.0.0.0';
    return isForwarded && this.#options.proxies.includes(remoteAddress, false) ? named : remoteAddress;
  }

  /** Returns the fields in which a client claims more than the server can have sent it. */
  #impossible({ kind, values }: WmLog, known: Known | undefined): LogField[] {
    if (!known || values['s-proxied'] === '1') return [];
    const fields: LogField[] = [];
    const number = (field: LogField) => Number(values[field] ?? 0);
    const { bytes, packets } = known.total;
    if (number('c-bytes') > Math.max(bytes, packets * known.packetSize)) fields.push('c-bytes');
    if (number('c-pkts-received') > packets) fields.push('c-pkts-received');
    const elapsed = (this.#now() - known.beganAt) / 1000;
    const rate = kind === 'streaming' ? 1 : Math.max(1, Math.abs(number('c-rate')));
    const longest = Math.max(elapsed * rate, Number(known.content.filelength ?? 0)) + SLACK;
    if (number('x-duration') > longest) fields.push('x-duration');
    if (number('c-totalbuffertime') > elapsed + SLACK) fields.push('c-totalbuffertime');
    return fields;
  }

  #drop(remoteAddress: string, does = 'submits logs', what = 'log'): void {
    this.#dropped++;
    const now = this.#now();
    if (now - this.#warnedAt < WARNING_INTERVAL) return;
    this.#warnedAt = now;
    const dropped = this.#dropped === 1 ? `a ${what} was` : `${this.#dropped} ${what}s were`;
    this.#options.onWarning(`${remoteAddress} ${does} too often: ${dropped} not written.`);
    this.#dropped = 0;
  }
}

/** The status of a client that left without a report. */
const NO_REPORT = '408';
/** In characters. */
const MAX_AGENT = 500;

/** Returns the product of a client, and its version if it is one. */
function productValues(client: string): LogValues {
  const version = /\/(\d{1,2}\.\d{1,2}(?:\.\d{1,4}){0,2})(?![\d.])/.exec(client)?.[1];
  return {
    ...(version === undefined ? {} : { 'c-playerversion': version }),
    'cs-User-Agent': textValue(client.slice(0, MAX_AGENT)),
  };
}

function wayValues(protocol: string, transport: string): LogValues {
  return {
    protocol: PROTOCOLS[protocol] ?? protocol.toLowerCase(),
    transport: transport === 'udp' || transport === 'multicast' ? 'UDP' : 'TCP',
  };
}

/** Returns a path as files name it: without scheme and host, as Windows Media Services write it. */
function stemOf(path: string): string {
  return textValue(encodeURI(path).slice(0, 4_000));
}

/** The address of the server, which the client of a multicast or of another server knows alone. */
function ipOf({ values }: WmLog): LogValues {
  return { 's-ip': values['s-ip'] ?? EMPTY };
}

function without(values: LogValues, fields: readonly LogField[]): LogValues {
  if (fields.length === 0) return values;
  return { ...values, ...Object.fromEntries(fields.map((field) => [field, EMPTY])) };
}
