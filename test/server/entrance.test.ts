import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ServerConfig } from '../../src/server/config.js';
import { defaultConfig } from '../../src/server/config.js';
import { EncoderServer } from '../../src/server/encoder.js';
import { connectRequest, wireMessages } from '../msbd/support.js';
import { until } from '../support/until.js';
import { parseWholeResponse, RawPeer } from '../support/wire.js';
import { ServerStation } from './station.js';
import { askAs, removeUsers, usersFile } from './users.js';

let station: ServerStation;
let origin: Server;
let reached: Socket[];
let folder: string;

const PLAYER = 'User-Agent: NSPlayer/12.0.7680.0';
const INFO = [
  'POST /far.wsx HTTP/1.1',
  'Host: x',
  PLAYER,
  'Content-Type: application/x-wms-getcontentinfo',
  'Content-Length: 0',
];
const PLAY = ['Pragma: xPlayStrm=1', 'Pragma: stream-switch-count=1', 'Pragma: stream-switch-entry=ffff:1:0'];

beforeEach(async () => {
  reached = [];
  // Accepts connections but never responds, so its clients wait for a header.
  origin = createServer((socket) => void reached.push(socket.on('error', () => {})));
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', resolve));
  const { port } = origin.address() as { port: number };
  folder = await mkdtemp(join(tmpdir(), 'wmcast-entrance-'));
  const media = `<media src="http://127.0.0.1:${port}/live"/>`;
  await writeFile(join(folder, 'far.wsx'), `<?wsx version="1.0"?><smil>${media}</smil>`);
});

afterEach(async () => {
  await station.close();
  for (const socket of reached) socket.destroy();
  origin.close();
  await rm(folder, { recursive: true });
});
afterAll(removeUsers);

async function open(config: Partial<ServerConfig> = {}) {
  station = await ServerStation.open({ content: { folder }, ...config }, { warning: () => {} });
}

const access = (play: object) => ({ ...defaultConfig().access, play });

describe('restricted content of another server', () => {
  it('is not pulled for a stranger as the source of a point that waits for its first player', async () => {
    const { port } = origin.address() as { port: number };
    await open({
      users: await usersFile({ anna: [] }),
      msbd: { port: 0 },
      points: [
        {
          path: '/far',
          source: `http://127.0.0.1:${port}/live`,
          onDemand: true,
          access: { play: { users: ['anna'] } },
        },
      ],
    });
    for (const request of [
      ['GET /far HTTP/1.1', 'Host: x', PLAYER],
      ['GET /far HTTP/1.1', 'Host: x', PLAYER, ...PLAY],
      ['GET /far.asf HTTP/1.1', 'Host: x', 'User-Agent: mpv'],
      ['GET /FAR?MSWMExt=.asf HTTP/1.1', 'Host: x'],
      ['GET /far.asx HTTP/1.1', 'Host: x'],
    ]) {
      expect([request, (await station.ask(...request)).status]).toEqual([request, 401]);
    }
    const receiver = await RawPeer.connect(station.server.ports.msbd!);
    receiver.send(connectRequest(1, 'far\0'));
    expect(wireMessages(await receiver.untilClosed())[0]).toMatchObject({ id: 8, hr: 0x80070005 });
    expect(reached).toHaveLength(0);
    const peer = await station.peer();
    void askAs(peer, 'anna', ['digest'], ['GET /far HTTP/1.1', 'Host: x', PLAYER, ...PLAY]).catch(() => {});
    await until('the origin to be reached', () => reached.length > 0);
  });

  it('is not requested for a stranger, who does not wait for it either', async () => {
    await open({
      users: await usersFile({ anna: [] }),
      access: access({ users: ['anna'] }),
      msbd: { port: 0 },
      points: [{ path: '/live' }],
    });
    const lines = [
      ['GET /far.wsx HTTP/1.1', 'Host: x', PLAYER],
      ['GET /far.wsx HTTP/1.1', 'Host: x', PLAYER, ...PLAY],
      INFO,
      ['GET /far.wsx HTTP/1.1', 'Host: x', 'User-Agent: mpv'],
      ['GET /far.wsx?MSWMExt=.asf HTTP/1.1', 'Host: x'],
      ['HEAD /far.wsx HTTP/1.1', 'Host: x', PLAYER],
      ['GET /nothing.wmv HTTP/1.1', 'Host: x', PLAYER, ...PLAY],
    ];
    for (const request of lines) expect([request, (await station.ask(...request)).status]).toEqual([request, 401]);
    const receiver = await RawPeer.connect(station.server.ports.msbd!);
    receiver.send(connectRequest(1, 'live\0'));
    expect(wireMessages(await receiver.untilClosed())[0]).toMatchObject({ id: 8, hr: 0x80070005 });
    // Permitted players do reach it, so the stranger could have.
    const peer = await station.peer();
    void askAs(peer, 'anna', ['digest'], ['GET /far.wsx HTTP/1.1', 'Host: x', PLAYER, ...PLAY]).catch(() => {});
    await until('the origin to be reached', () => reached.length > 0);
    expect(reached).toHaveLength(1);
  });

  it('has a place for the next player as soon as a waiting one leaves', async () => {
    await open({ limits: { ...defaultConfig().limits, players: 1 } });
    const request = ['GET /far.wsx HTTP/1.1', 'Host: x', PLAYER, ...PLAY];
    const first = await station.peer();
    first.request(...request);
    await until('the origin to be reached', () => reached.length === 1);
    expect((await station.ask(...request)).status).toBe(503);
    first.close();
    // The server may see the new request before it sees that the first client is gone.
    const free = async () => (await station.ask('GET / HTTP/1.1', 'Host: x', PLAYER, ...PLAY)).status === 404;
    // Sooner than the wait of the departed player would have ended by itself.
    await until('a free place', free, 8_000);
  });
});

describe('a GetContentInfo request', () => {
  it('opens nothing, and waits for nothing', async () => {
    await open();
    const { status, field } = await station.ask(...INFO);
    expect([status, reached.length]).toEqual([200, 0]);
    expect(field('Cache-Control')).toContain('x-wms-stream-type="broadcast,playlist"');
  });
});

describe('an encoder that captures on demand', () => {
  it('does not start for a stranger', async () => {
    await open();
    let opened = 0;
    const encoder = await EncoderServer.start({
      host: '127.0.0.1',
      httpPort: 0,
      onDemand: true,
      users: await usersFile({ anna: [] }),
      open: () => {
        opened++;
        return Promise.reject(new Error('nothing to capture'));
      },
    });
    const ask = async (...more: string[]) => {
      const peer = await RawPeer.connect(encoder.ports.http);
      peer.request('GET / HTTP/1.1', 'Host: x', 'User-Agent: NSServer/9.0', ...more);
      const { status } = await peer.until(parseWholeResponse);
      peer.close();
      return status;
    };
    expect(await ask()).toBe(401);
    expect(await ask(...PLAY)).toBe(401);
    expect(opened).toBe(0);
    const password = Buffer.from('anna:anna-secret').toString('base64');
    expect(await ask(`Authorization: Basic ${password}`)).toBe(503);
    expect(opened).toBe(1);
    await encoder.close();
  });
});
