// Three nodes and three nats-servers on hosts of their own (network namespaces), and in each round one fault: a node, the owner of
// the point or a nats-server is killed, a host is cut off, or a node is stopped. Checks what the players of the other nodes see: they
// keep their connections, nothing comes twice, and the stream is back soon.
//
//   node bench/cluster-rounds.mjs --rounds 100 --seed 1      needs root, ip, nft and nats-server
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parsePacket } from '../dist/asf/packet.js';
import { Random } from '../dist/testing/random.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seed: { type: 'string', default: '1' },
    kinds: { type: 'string' },
    inside: { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const seed = Number(values.seed);
const HOSTS = [1, 2, 3];
const PORT = 8080;
const PATH = '/live';
const BIN = fileURLToPath(new URL('../bin/', import.meta.url));
/** How long the stream may be away after each fault, in ms, on a busy machine. */
const PATIENCE = { owner: 12_000, node: 5_000, nats: 15_000, 'cut off': 45_000, stop: 12_000, rivals: 45_000 };
const ALL_KINDS = ['owner', 'node', 'nats', 'cut off', 'stop', 'rivals'];
const KINDS = values.kinds ? ALL_KINDS.filter((kind) => values.kinds.split(',').includes(kind)) : ALL_KINDS;
/** How long two nodes may have an encoder for one point, in ms. */
const TWO_OWNERS = 5_000;
/** Media objects of a stream that have to follow: a second. */
const OBJECTS = 25;
/** A gap that empties the buffer of a player, in ms. */
const REBUFFER = 3_000;

const address = (host) => `10.77.9.${host}`;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const run = (...command) => execFileSync(command[0], command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });

/** Makes the network, and runs this script in its middle. */
function outside() {
  const id = `wmc${process.pid}`;
  const names = [id, ...HOSTS.map((host) => `${id}-${host}`)];
  const clear = () => names.forEach((name) => void tryTo(() => run('ip', 'netns', 'del', name)));
  process.on('exit', clear);
  for (const name of names) run('ip', 'netns', 'add', name);
  const ip = (name, ...rest) => run('ip', '-n', name, ...rest);
  ip(id, 'link', 'add', 'middle', 'type', 'bridge');
  ip(id, 'addr', 'add', '10.77.9.254/24', 'dev', 'middle');
  for (const each of ['lo', 'middle']) ip(id, 'link', 'set', each, 'up');
  for (const host of HOSTS) {
    const name = `${id}-${host}`;
    ip(id, 'link', 'add', `to${host}`, 'type', 'veth', 'peer', 'name', 'wire', 'netns', name);
    ip(id, 'link', 'set', `to${host}`, 'master', 'middle', 'up');
    ip(name, 'addr', 'add', `${address(host)}/24`, 'dev', 'wire');
    for (const each of ['lo', 'wire']) ip(name, 'link', 'set', each, 'up');
    run('ip', 'netns', 'exec', name, 'nft', 'add table inet cut');
  }
  const self = fileURLToPath(import.meta.url);
  const args = [
    'netns',
    'exec',
    id,
    process.execPath,
    self,
    '--rounds',
    values.rounds,
    '--seed',
    values.seed,
    '--kinds',
    values.kinds ?? '',
    '--inside',
    id,
  ];
  const child = spawn('ip', args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code) => process.exit(code ?? 1));
}

function tryTo(work) {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** A program on a host that can be killed and started again. */
class Part {
  constructor(name, host, command) {
    Object.assign(this, { name, host, command, log: [] });
  }

  start() {
    const child = spawn('ip', ['netns', 'exec', this.host, ...this.command], { stdio: ['ignore', 'pipe', 'pipe'] });
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        this.log.push(...text.split('\n').filter(Boolean));
        this.log.splice(0, Math.max(0, this.log.length - 200));
      });
    }
    this.gone = new Promise((resolve) => {
      child.once('exit', resolve);
    });
  }

  async end(signal) {
    // ip replaces itself with the program.
    this.child.kill(signal);
    const late = setTimeout(() => this.child.kill('SIGKILL'), 8_000);
    await this.gone;
    clearTimeout(late);
  }
}

/** A player on a bare socket, which notes what comes. */
class Watcher {
  constructor(host) {
    Object.assign(this, {
      host,
      seen: new Set(),
      twice: [],
      headers: 0,
      gaps: 0,
      last: 0,
      ended: false,
      rest: Buffer.alloc(0),
      head: true,
    });
    this.socket = connect({ host: address(host), port: PORT }, () => {
      const streams = 'Pragma: stream-switch-count=2\r\nPragma: stream-switch-entry=ffff:1:0 ffff:2:0 \r\n';
      this.socket.write(
        `GET ${PATH} HTTP/1.0\r\nUser-Agent: NSPlayer/4.1.0.3856\r\nPragma: xPlayStrm=1\r\n${streams}\r\n`,
      );
    });
    this.socket.on('data', (chunk) => this.take(chunk)).on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
    });
  }

  take(chunk) {
    this.rest = Buffer.concat([this.rest, chunk]);
    if (this.head) {
      const end = this.rest.indexOf('\r\n\r\n');
      if (end === -1) return;
      this.head = false;
      this.answer = this.rest.toString('latin1', 0, end);
      this.rest = this.rest.subarray(end + 4);
    }
    let at = 0;
    for (; at + 4 <= this.rest.length; ) {
      const size = 4 + this.rest.readUInt16LE(at + 2);
      if (at + size > this.rest.length) break;
      const id = String.fromCharCode(this.rest[at + 1]);
      if (id === 'H') this.headers++;
      if (id === 'E') this.end = this.rest.readUInt32LE(at + 4);
      if (id === 'D') this.packet(Buffer.from(this.rest.subarray(at + 12, at + size)));
      at += size;
    }
    this.rest = this.rest.subarray(at);
  }

  packet(bytes) {
    const now = performance.now();
    if (this.last > 0 && now - this.last > REBUFFER) this.gaps++;
    this.last = now;
    const packet = parsePacket(bytes);
    for (const { offset, dataStart, dataLength } of packet.payloads) {
      if (offset !== 0 || dataLength < 12 || packet.bytes.toString('latin1', dataStart, dataStart + 4) !== 'WMST')
        continue;
      const object = `${packet.bytes[dataStart + 4]}:${packet.bytes.readUInt32LE(dataStart + 8)}`;
      if (this.seen.has(object)) this.twice.push(object);
      this.seen.add(object);
      this.newest = Math.max(this.newest ?? 0, packet.bytes.readUInt32LE(dataStart + 8));
    }
  }
}

async function until(what, condition, timeout) {
  const late = performance.now() + timeout;
  for (;;) {
    const found = await condition();
    if (found) return found;
    if (performance.now() > late) throw new Error(`Waited ${timeout / 1000} s for ${what}.`);
    await sleep(25);
  }
}

/** The hosts with their programs, the encoder, and the players that watch. */
class Stage {
  #folder = mkdtempSync(join(tmpdir(), 'wmcast-rounds-'));
  #random = new Random(seed);
  #nats = new Map();
  #nodes = new Map();
  #watchers = [];
  #push;
  results = [];

  constructor(id) {
    this.id = id;
    for (const host of HOSTS) {
      this.#nats.set(host, this.#natsOn(host));
      this.#nodes.set(host, this.#nodeOn(host));
    }
  }

  #natsOn(host) {
    const others = HOSTS.filter((each) => each !== host);
    const routes = others.map((each) => `nats://${address(each)}:6222`).join(', ');
    const file = join(this.#folder, `nats-${host}.conf`);
    const store = join(this.#folder, `store-${host}`);
    const lines = [
      `server_name: n${host}`,
      `host: ${address(host)}`,
      'port: 4222',
      // A broken connection between servers is noticed within seconds.
      'ping_interval: "2s"',
      'ping_max: 2',
      `jetstream { store_dir: "${store}" }`,
      `cluster { name: c, host: ${address(host)}, port: 6222, routes: [ ${routes} ] }`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    return new Part(`nats ${host}`, `${this.id}-${host}`, ['nats-server', '-c', file]);
  }

  #nodeOn(host) {
    const file = join(this.#folder, `node-${host}.yaml`);
    const servers = [host, ...HOSTS.filter((each) => each !== host)].map((each) => `"nats://${address(each)}:4222"`);
    const lines = [
      `host: ${address(host)}`,
      `httpPort: ${PORT}`,
      'msbd: { port: none }',
      'admin: { port: none }',
      'access: { push: { addresses: [10.77.9.0/24] }, admin: { addresses: [10.77.9.0/24] } }',
      `cluster: { servers: [ ${servers.join(', ')} ], node: node-${host}, replicas: 3 }`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    const command = [process.execPath, `${BIN}wmcast.js`, 'serve', '--config', file, '--json'];
    return new Part(`node ${host}`, `${this.id}-${host}`, command);
  }

  get #parts() {
    return [...this.#nats.values(), ...this.#nodes.values(), ...(this.#push ? [this.#push] : [])];
  }

  async start() {
    for (const each of this.#nats.values()) each.start();
    await sleep(3_000);
    for (const each of this.#nodes.values()) each.start();
    const urls = HOSTS.map((host) => `http://${address(host)}:${PORT}${PATH}`);
    const how = ['-i', 'synthetic:seed=7,gop=25', '--retry', 'forever', '--json'];
    this.#push = new Part('encoder', this.id, [process.execPath, `${BIN}wmpush.js`, ...urls, ...how]);
    this.#push.start();
    await until('the first owner', () => this.#owner(), 60_000);
    for (const host of HOSTS) this.#watchers.push(await this.#watch(host));
  }

  /** Plays the point on a node, which may not know it yet if it has just started. */
  async #watch(host) {
    const late = performance.now() + 40_000;
    while (performance.now() < late) {
      const watcher = new Watcher(host);
      await until('an answer', () => watcher.ended || watcher.seen.size > 0, 20_000).catch(() => {});
      if (watcher.seen.size > 0 && !watcher.ended) return watcher;
      watcher.socket.destroy();
      if (performance.now() > late - 10_000) say({ event: 'refused', host, answer: watcher.answer });
      await sleep(250);
    }
    throw new Error(`node-${host} does not play the point.`);
  }

  async #owner() {
    for (const host of HOSTS) {
      const url = `http://${address(host)}:${PORT}/api/points${PATH}`;
      const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
      if (answer?.ok && (await answer.json()).publisher) return host;
    }
    return undefined;
  }

  async round(number) {
    const owner = await until('an owner', () => this.#owner(), 30_000);
    const kind = KINDS[(number - 1 + seed) % KINDS.length];
    if (kind === 'rivals') return this.#rivals(number);
    const victim = this.#victimOf(kind, owner);
    const losesPlayers = kind === 'owner' || kind === 'node' || kind === 'stop';
    const kept = this.#watchers.filter(({ host }) => !losesPlayers || host !== victim);
    const before = kept.map(({ gaps, newest }) => ({ gaps, newest }));
    const at = performance.now();
    await this.#harm(kind, victim);
    const isBack = () => kept.every(({ newest }, index) => newest > before[index].newest + OBJECTS);
    const isOver = () => kept.some(({ ended }) => ended) || isBack();
    await until(`the stream after ${kind} ${victim}`, isOver, PATIENCE[kind] + 10_000);
    const away = Math.round(performance.now() - at);
    const lost = kept.filter(({ ended }) => ended).map(({ host }) => host);
    const twice = this.#watchers.flatMap((watcher) => watcher.twice).length;
    const rebuffers = Math.max(0, ...kept.map(({ gaps }, index) => gaps - before[index].gaps));
    const headers = Math.max(...kept.map((watcher) => watcher.headers));
    this.results.push({ kind, away });
    say({ event: 'round', round: number, kind, victim, owner, away, lost, twice, rebuffers, headers });
    const isWrong = lost.length > 0 || twice > 0 || rebuffers > 1 || headers > 1 || away > PATIENCE[kind];
    if (isWrong) throw new Error(`Round ${number} failed.`);
    await this.#mend(kind, victim, losesPlayers);
  }

  /** The owner of a point is cut off with its encoder, and another encoder comes to the others: for how long are there two? */
  async #rivals(number) {
    const path = `/rivals-${number}`;
    const url = (host) => `http://${address(host)}:${PORT}${path}`;
    const victim = 1 + this.#random.below(3);
    const others = HOSTS.filter((host) => host !== victim);
    const encoder = (seed, hosts) => {
      const how = ['-i', `synthetic:seed=${seed},gop=25`, '--retry', 'forever', '--json', '-q'];
      const part = new Part('rival', this.id, [process.execPath, `${BIN}wmpush.js`, ...hosts.map(url), ...how]);
      part.start();
      return part;
    };
    const first = encoder(8, [victim]);
    const owners = [];
    let second;
    try {
      await until('the first encoder', () => this.#feeds(victim, path), 30_000);
      cut(this.id, victim, true);
      const at = performance.now();
      second = encoder(9, others);
      let both = 0;
      let before = at;
      let takenAfter;
      let healedAt;
      const isOver = async () => {
        const now = performance.now();
        const feeding = (await Promise.all(HOSTS.map((host) => this.#feeds(host, path)))).filter(Boolean).length;
        if (feeding > 1) both += now - before;
        before = now;
        owners.push(feeding);
        if (takenAfter === undefined && (await this.#feeds(others[0], path)) + (await this.#feeds(others[1], path)) > 0)
          takenAfter = Math.round(now - at);
        if (healedAt === undefined && now - at > 15_000) {
          cut(this.id, victim, false);
          healedAt = now;
        }
        return healedAt !== undefined && now - healedAt > 10_000;
      };
      await until('the end of the rivals', isOver, 60_000);
      say({
        event: 'round',
        round: number,
        kind: 'rivals',
        victim,
        takenAfter,
        both: Math.round(both),
        at: owners.at(-1),
      });
      this.results.push({ kind: 'rivals', away: Math.round(both) });
      if (takenAfter === undefined || both > TWO_OWNERS || owners.at(-1) !== 1)
        throw new Error(`Round ${number} failed.`);
    } finally {
      cut(this.id, victim, false);
      for (const part of [first, second]) await part?.end('SIGKILL');
    }
  }

  /** True if a host has an encoder for a point of its own. */
  async #feeds(host, path) {
    const url = `http://${address(host)}:${PORT}/api/points${path}`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
    return Boolean(answer?.ok && (await answer.json()).publisher);
  }

  #victimOf(kind, owner) {
    if (kind === 'owner') return owner;
    if (kind === 'nats') return HOSTS[this.#random.below(3)];
    if (kind === 'stop' && this.#random.below(2) === 0) return owner;
    return HOSTS.filter((host) => host !== owner)[this.#random.below(2)];
  }

  async #harm(kind, victim) {
    if (kind !== 'cut off') {
      await (kind === 'nats' ? this.#nats : this.#nodes).get(victim).end(kind === 'stop' ? 'SIGTERM' : 'SIGKILL');
      return;
    }
    // What a host misses while it is cut off comes later.
    cut(this.id, victim, true);
    await sleep(2_000 + this.#random.below(6_000));
    cut(this.id, victim, false);
  }

  async #mend(kind, victim, losesPlayers) {
    if (kind !== 'cut off') (kind === 'nats' ? this.#nats : this.#nodes).get(victim).start();
    if (!losesPlayers) return sleep(3_000);
    for (const { host, socket } of this.#watchers) if (host === victim) socket.destroy();
    this.#watchers = this.#watchers.filter(({ host }) => host !== victim);
    this.#watchers.push(await this.#watch(victim));
  }

  async explain() {
    for (const { host, newest, ended, gaps } of this.#watchers) say({ event: 'watcher', host, newest, ended, gaps });
    for (const host of HOSTS) {
      for (const path of ['nodes', `points${PATH}`]) {
        const url = `http://${address(host)}:${PORT}/api/${path}`;
        const answer = await fetch(url, { signal: AbortSignal.timeout(1_000) }).catch(() => undefined);
        if (answer) console.error(`node ${host}: ${await answer.text()}`);
      }
    }
    for (const { name, log } of this.#parts) {
      const lines = log.filter((line) => !line.includes('"stats"'));
      console.error(`${name}:\n  ${lines.slice(-15).join('\n  ')}`);
    }
  }

  async close() {
    for (const { socket } of this.#watchers) socket.destroy();
    const started = this.#parts.filter(({ child }) => child);
    for (const { child } of started) child.kill('SIGKILL');
    await Promise.all(started.map(({ gone }) => gone));
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

function say(event) {
  console.log(JSON.stringify(event));
}

async function inside(id) {
  const stage = new Stage(id);
  let failed = '';
  try {
    await stage.start();
    for (let number = 1; number <= rounds; number++) await stage.round(number);
  } catch (error) {
    failed = String(error?.message ?? error);
    await stage.explain();
  }
  await stage.close();
  const summary = {};
  for (const kind of KINDS) {
    const times = stage.results.filter((each) => each.kind === kind).map(({ away }) => away);
    times.sort((a, b) => a - b);
    if (times.length > 0)
      summary[kind] = { rounds: times.length, median: times[times.length >> 1], worst: times.at(-1) };
  }
  say({ event: 'done', rounds: stage.results.length, failed, away: summary });
  process.exit(failed ? 1 : 0);
}

/** Cuts a host off from the other hosts, but not from players and encoders. */
function cut(id, host, isCut) {
  const name = `${id}-${host}`;
  const nft = (text) => run('ip', 'netns', 'exec', name, 'nft', text);
  nft('flush table inet cut');
  tryTo(() => nft('delete chain inet cut input'));
  tryTo(() => nft('delete chain inet cut output'));
  if (!isCut) return;
  const others = HOSTS.filter((each) => each !== host)
    .map(address)
    .join(', ');
  nft('add chain inet cut input { type filter hook input priority 0 ; }');
  nft('add chain inet cut output { type filter hook output priority 0 ; }');
  nft(`add rule inet cut input ip saddr { ${others} } drop`);
  nft(`add rule inet cut output ip daddr { ${others} } drop`);
}

if (values.inside === undefined) outside();
else await inside(values.inside);
