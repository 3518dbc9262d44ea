import {
  CLIENT_ID,
  dataPackets,
  described,
  fileHeader,
  HEADER,
  head,
  media,
  packets,
  playing,
  receive,
  ScriptedServer,
} from './client-support.js';

let server: ScriptedServer;
afterEach(() => server.close());

/** Tokens that only servers from 5.0, or from 9.0, know. */
const LATER =
  /^(?:client-lag|xPlayNextEntry|xStopStrm|xKeepAliveInPause|Accel|Burst|LinkBW|Speed|playlist-gen-id|pipeline|version11-enabled)\b/i;

async function tokensFor(name: string) {
  const fields = [name, CLIENT_ID];
  const data = dataPackets(media(10));
  server = await ScriptedServer.listen((request, reply) => {
    if (request.type === 'Describe') reply.send(described(packets.H(HEADER.bytes), ...fields)).end();
    else if (request.type === 'Play') {
      const other = packets.H(fileHeader(10, { title: 'Another' }).bytes);
      const entries = [packets.H(HEADER.bytes), data, packets.C(), other, data, packets.E(0)];
      reply.send(playing(...fields), ...entries).end();
    } else reply.send(head('HTTP/1.0 200 OK', ...fields, 'Content-Length: 0')).end();
  });
  const { shape, error } = await receive({ url: server.url() });
  expect([shape, error]).toEqual(['H 10 E1 H 10 E0', undefined]);
  return server.requests.flatMap(({ pragma }) => pragma).filter((token) => LATER.test(token));
}

describe('a server known to be below 5.0', () => {
  it('[WMSP-023] [WMSP-056] gets no newer tokens, from the second request on', async () => {
    expect(await tokensFor('Server: Cougar/4.1.0.3920')).toEqual([]);
  });
});
