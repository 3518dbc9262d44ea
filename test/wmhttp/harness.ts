import { HttpServer } from '../../src/http/server.js';
import { dataPacket, endPacket, headerPacket, streamChangePacket } from '../../src/wmhttp/messages/packets.js';
import { PushServer, type PushServerOptions } from '../../src/wmhttp/server/server.js';
import { field, Peer } from '../http/peer.js';
import { testHeader, testPacket } from '../support/stream.js';
import { RecordingGate } from './recorder.js';

export const H = headerPacket(testHeader().bytes);
export const C = streamChangePacket(testHeader({ title: 'Second' }).bytes);
export const D = dataPacket(testPacket(0).bytes);
export const E0 = endPacket(0);
export const E1 = endPacket(1);
export const ENDLESS = 2_147_483_647;

export let http: HttpServer;
export let push: PushServer;
export let gate: RecordingGate;
export let errors: unknown[];
let port: number;
/** The port on which {@link serve} listens. */
export const serverPort = () => port;
/** The server's current time, in ms. */
export const clock = { now: 0 };
let peers: Peer[] = [];

/** A push server on an HTTP server with a free port, new for each test. */
export async function serve(options: PushServerOptions = {}) {
  gate = new RecordingGate();
  errors = [];
  clock.now = 1_000_000;
  push = new PushServer(gate, { now: () => clock.now, onError: (error) => errors.push(error), ...options });
  http = new HttpServer({
    onRequest: (exchange) => {
      if (!push.handle(exchange)) exchange.respond({ status: 404 });
    },
    onError: (error) => errors.push(error),
  });
  port = await http.listen(0, '127.0.0.1');
}

/** Ends what {@link serve} started. */
export async function stop() {
  for (const peer of peers) peer.destroy();
  peers = [];
  push.close();
  await http.close(0);
}

export async function connect(): Promise<Peer> {
  const peer = await Peer.connect(port);
  peers.push(peer);
  return peer;
}

export interface Request {
  readonly type?: string;
  readonly path?: string;
  readonly method?: string;
  readonly id?: string | undefined;
  readonly length?: number | undefined;
  readonly agent?: string | undefined;
  readonly body?: string;
  /** The Host line; none if it is empty. */
  readonly host?: string;
  readonly more?: string;
}

export function head(kind: 'setup' | 'start', request: Request): string {
  const { path = '/pub', method = 'POST', body = '' } = request;
  const length = 'length' in request ? request.length : body.length;
  const agent = 'agent' in request ? request.agent : 'WMEncoder/12.0.7601.17514';
  return (
    `${method} ${path} HTTP/1.1\r\nContent-Type: ${request.type ?? `application/x-wms-push${kind}`}\r\n` +
    `${agent === undefined ? '' : `User-Agent: ${agent}\r\n`}${request.host ?? 'Host: server\r\n'}` +
    `${length === undefined ? '' : `Content-Length: ${length}\r\n`}` +
    `${request.id === undefined ? '' : `Cookie: push-id=${request.id}\r\n`}${request.more ?? ''}\r\n${body}`
  );
}

const idOf = (response: string) => /^push-id=([^;]+)$/.exec(field(response, 'Set-Cookie') ?? '')?.[1] ?? '';
export const statusOf = (response: string) => Number(response.slice(9, 12));

/** PushSetup on a new connection. */
export async function setUp(request: Request = {}) {
  const peer = await connect();
  peer.send(head('setup', { id: '0', ...request }));
  const response = await peer.head();
  return { peer, response, status: statusOf(response), id: idOf(response), point: gate.points.at(-1)! };
}

/** PushSetup and the first bytes of a PushStart. */
export async function stream(packets: Buffer[], request: Request = {}, setup: Request = {}) {
  const session = await setUp(setup);
  session.peer.send(head('start', { id: session.id, length: ENDLESS, ...request }), ...packets);
  return session;
}

export const nothingOdd = () => expect(errors).toEqual([]);
