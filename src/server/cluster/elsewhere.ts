import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Member } from '../../cluster/directory.js';
import type { ClusterNode } from '../../cluster/node.js';
import type { Exchange } from '../../http/exchange.js';
import { namePeer, peerOf } from '../../http/peer.js';
import type { SessionIds } from '../../playback/session-ids.js';
import { Refusal } from '../../refusal.js';
import type { Elsewhere } from '../../rtsp/server/host.js';
import { pushIds, pushRequestType } from '../../wmhttp/messages/messages.js';
import { classifyRequest } from '../../wmsp/messages/requests.js';
import type { LentPort } from '../listeners/listener.js';

/** The digits of a push-id that tell where it was made. */
const PUSH_DIGITS = 9;

/** A connection that another node passes on. */
interface PassedConnection {
  readonly port: 'http' | 'rtsp';
  /** Of the client. */
  readonly remoteAddress: string;
  /** Of the other end of its connection: the client, or a proxy. */
  readonly address: string;
  /** Where it connected to, as in a URL. */
  readonly host: string;
  readonly secure: boolean;
}

/** Datagrams of strangers that are passed on in a second. */
const MAX_DATAGRAMS = 1_000;

/** Requests of sessions that other nodes have. */
export class SessionsElsewhere {
  readonly #node: ClusterNode;
  readonly #ids: SessionIds;
  #strangers = { second: 0, count: 0 };

  constructor(node: ClusterNode, ids: SessionIds) {
    this.#node = node;
    this.#ids = ids;
  }

  /**
   * Takes what other nodes pass on.
   *
   * @param ports the ports of this node
   */
  serve(ports: () => readonly LentPort[]): void {
    this.#node.tunnels.serve(async (about) => {
      const { port, remoteAddress, address, host, secure } = readPassed(about);
      const found = ports().find(({ name }) => name === port);
      if (!found) throw new Refusal('unsupported', `This process has no ${port} port.`);
      const [near, far] = await socketPair();
      // Sessions compare it, and send datagrams to it.
      Object.defineProperty(far, 'remoteAddress', { value: address });
      // A client on another node's host is not on this one.
      namePeer(far, { remoteAddress, local: false, passedOn: { host, secure } });
      found.take(far);
      return near;
    });
    this.#node.calls.answer('datagram', ({ address }: { address?: unknown }, bytes) => {
      if (typeof address !== 'string') throw new Refusal('bad-request', 'A datagram has no address.');
      for (const { takeDatagram } of ports()) takeDatagram?.(bytes, address);
    });
  }

  /** Passes on a datagram about a client of MMSP of another node; of floods a part. @returns false for any other */
  strangersDatagram(clientId: number, bytes: Buffer, address: string): boolean {
    const member = this.#memberOf(clientId);
    if (!member) return false;
    const second = Math.floor(performance.now() / 1_000);
    if (this.#strangers.second !== second) this.#strangers = { second, count: 0 };
    if (++this.#strangers.count <= MAX_DATAGRAMS) this.#node.tell(member, 'datagram', { address }, bytes);
    return true;
  }

  /** Passes a request, and what follows on its connection, to the node whose session it names. @returns false if it is for this one */
  passOn(exchange: Exchange): boolean {
    const member = this.#memberOf(idIn(exchange));
    const detached = member && exchange.detach();
    if (!detached) return false;
    const { remoteAddress, here: host, secure } = exchange;
    const address = addressOf(detached.socket);
    const about: PassedConnection = { port: 'http', remoteAddress, address, host, secure };
    void this.#open(member, detached.socket, detached.unread, about);
    return true;
  }

  /** The sessions of RTSP that other nodes have. */
  readonly rtsp: Elsewhere = {
    has: (id) => this.#memberOf(longId(id)) !== undefined,
    passOn: (socket, unread, id) => {
      const member = this.#memberOf(longId(id));
      const { remoteAddress } = peerOf(socket);
      const address = addressOf(socket);
      const about: PassedConnection = { port: 'rtsp', remoteAddress, address, host: '', secure: false };
      if (member) void this.#open(member, socket, unread, about);
      else socket.destroy();
    },
  };

  async #open(member: Member, socket: Socket, unread: Buffer, about: PassedConnection): Promise<void> {
    if (await this.#node.tunnels.open(member, socket, unread, about)) return;
    // Clients begin again, as after any refusal.
    const protocol = about.port === 'http' ? 'HTTP/1.1' : 'RTSP/1.0';
    socket.end(`${protocol} 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    socket.resume();
  }

  /** The other node that made an id; undefined if it was made here, or that node is gone. */
  #memberOf(id: number | bigint | undefined): Member | undefined {
    if (id === undefined) return undefined;
    const { node } = this.#ids.homeOf(id);
    const member = node === this.#ids.home.node ? undefined : this.#node.directory.numbered(node);
    return member && member.run !== this.#node.self.run ? member : undefined;
  }
}

/** The id of the session that a request names; undefined if it names none. */
function idIn({ request }: Exchange): number | undefined {
  const push = pushRequestType(request.headers);
  if (push === 'start') {
    const id = pushIds(request.headers).at(-1)?.slice(0, PUSH_DIGITS);
    return id !== undefined && /^\d{9}$/.test(id) ? Number(id) : undefined;
  }
  const classified = push ? undefined : classifyRequest(request);
  const id = typeof classified === 'object' ? classified.pragma.number('client-id') : undefined;
  return id || undefined;
}

function addressOf({ remoteAddress = '' }: Socket): string {
  return remoteAddress;
}

function longId(id: string): bigint | undefined {
  return /^\d{1,20}$/.test(id) ? BigInt(id) : undefined;
}

function readPassed(about: unknown): PassedConnection {
  const { port, remoteAddress, address, host, secure } = (about ?? {}) as Partial<PassedConnection>;
  const isKnown = port === 'http' || port === 'rtsp';
  const areTexts = [remoteAddress, address, host].every((each) => typeof each === 'string');
  if (!isKnown || !areTexts || typeof secure !== 'boolean') {
    throw new Refusal('bad-request', 'A connection of another node is not described.');
  }
  return { port, remoteAddress: remoteAddress!, address: address!, host: host!, secure };
}

/** Two sockets that are connected with each other. The listeners need real ones. */
async function socketPair(): Promise<[near: Socket, far: Socket]> {
  const folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
  const path = join(folder, 's');
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject).listen(path, resolve);
    });
    const accepted = new Promise<Socket>((resolve) => {
      server.once('connection', resolve);
    });
    const near = connect(path);
    near.on('error', () => near.destroy());
    const far = await accepted;
    // Otherwise the listener of the pair would wait for it when it closes.
    far.on('error', () => far.destroy());
    return [near, far];
  } finally {
    server.close();
    await rm(folder, { recursive: true, force: true });
  }
}
