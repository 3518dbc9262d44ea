import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsfReader } from '../../src/asf/reader.js';
import { WmError } from '../../src/errors.js';
import { defaultConfig } from '../../src/server/config.js';
import type { PointEvent } from '../../src/server/points/points.js';
import { MediaServer } from '../../src/server/server.js';
import { PACKET_SIZE } from '../support/stream.js';
import { until } from '../support/until.js';
import { parseResponse, wirePackets } from '../support/wire.js';
import { ServerStation } from './station.js';

const PLAYER = [
  'User-Agent: NSPlayer/4.1.0.3856',
  'Pragma: xPlayStrm=1',
  'Pragma: stream-switch-count=2',
  'Pragma: stream-switch-entry=ffff:1:0 ffff:2:0',
];

let station: ServerStation;
let events: PointEvent[];

beforeEach(async () => {
  events = [];
  station = await ServerStation.open({}, { point: (event) => events.push(event) });
});

afterEach(() => station.close());

async function watch(path: string, ...lines: string[]) {
  const peer = await station.peer();
  peer.request(`GET ${path} HTTP/1.0`, ...(lines.length === 0 ? PLAYER : lines));
  return peer;
}

/** Waits until the point has its header. */
async function live(path: string): Promise<void> {
  await until(`${path} to have a header`, () => station.server.points.get(path)?.broadcast.header);
}

describe('from push to play', () => {
  it('carries a push to a player of the protocol', async () => {
    const encoder = await station.push('/live');
    await live('/live');
    encoder.key();
    const player = await watch('/live');
    const kinds = await player.until((bytes) => {
      const response = parseResponse(bytes);
      const ids = response ? wirePackets(response.body).map(({ id }) => id) : [];
      return ids.includes('D') ? ids : undefined;
    });
    expect(kinds).toEqual(['H', 'D']);
    encoder.end();
    const packets = wirePackets(parseResponse(await player.untilClosed())!.body);
    expect(packets.at(-1)).toMatchObject({ id: 'E', reason: 0 });
  });

  it.each(['/live.asf', '/live?MSWMExt=.asf', '/live.wmv'])('serves any other player plain ASF at %s', async (path) => {
    const encoder = await station.push('/live');
    await live('/live');
    encoder.key();
    encoder.key();
    const player = await watch(path, 'User-Agent: Lavf/59');
    await player.until((bytes) => ((parseResponse(bytes)?.body.length ?? 0) > 2 * PACKET_SIZE ? true : undefined));
    encoder.end();
    const response = parseResponse(await player.untilClosed())!;
    expect(response.field('Content-Type')).toBe('video/x-ms-asf');
    const reader = new AsfReader();
    const items = [...reader.push(response.body), ...reader.end()];
    expect(items.map(({ type }) => type)).toEqual(['header', 'packet', 'packet']);
    expect(items.every((item) => item.type !== 'packet' || item.packet.bytes.length === PACKET_SIZE)).toBe(true);
  });

  it('counts incoming and outgoing data', async () => {
    const encoder = await station.push('/live');
    await live('/live');
    const player = await watch('/live');
    encoder.key();
    await player.until((bytes) => (bytes.includes('$D') ? true : undefined));
    expect(station.server.stats()).toMatchObject({
      players: 1,
      publishers: 1,
      points: 1,
      packetsIn: 1,
      droppedPlayers: 0,
    });
    expect(station.server.stats().bytesOut).toBeGreaterThan(300);
  });
});

describe('publishing points', () => {
  it('report when they are created, fed and left', async () => {
    const encoder = await station.push('/live');
    await live('/live');
    encoder.end();
    await until('three events', () => events.length >= 3);
    expect(events.map(({ what }) => what)).toEqual(['created', 'publishing', 'unpublished']);
    expect(events[1]).toMatchObject({ point: '/live', remoteAddress: '127.0.0.1' });
    expect(events[2]).toMatchObject({ clean: true });
  });

  it('survive their publisher, so that it can come back', async () => {
    const first = await station.push('/live');
    await live('/live');
    first.end();
    await until('no publishers', () => station.server.stats().publishers === 0);
    expect((await station.ask('GET /live HTTP/1.0', PLAYER[0]!)).status).toBe(503);
    await station.push('/live');
    await until('a publisher', () => station.server.stats().publishers > 0);
    expect((await station.ask('GET /live HTTP/1.0', PLAYER[0]!)).status).toBe(200);
  });

  it('refuse a second publisher while the first one sends, and do not disturb the first', async () => {
    const first = await station.push('/live');
    await live('/live');
    const second = await station.push('/live');
    const answer = await second.peer.untilClosed();
    expect(parseResponse(answer)?.status).toBe(409);
    const player = await watch('/live');
    first.key();
    await player.until((bytes) => (bytes.includes('$D') ? true : undefined));
  });

  it('accept a new publisher at once if the connection of the first one broke', async () => {
    const first = await station.push('/live');
    await live('/live');
    const player = await watch('/live');
    first.peer.close();
    await until('one connection to be left', () => station.server.stats().connections <= 1);
    const second = await station.push('/live');
    second.key();
    const bytes = await player.until((received) => (received.includes('$D') ? received : undefined));
    expect(bytes.includes('$C')).toBe(false);
  });

  it.each(['/', '/a/../b', '/a%00b', `/${'x'.repeat(4096)}`])('accept no push to %.20s', async (path) => {
    expect((await station.push(path)).setupStatus).toBeGreaterThanOrEqual(400);
    expect([...station.server.points]).toHaveLength(0);
  });

  it('[WMHTTP-090] accept a push to a new name only with a Template-URL of an existing point, if that is the policy', async () => {
    await station.close();
    station = await ServerStation.open({ push: { newPoints: 'template' }, points: [{ path: '/base' }] });
    const setup = async (path: string, template: string) => {
      const body = template === '' ? '' : `Template-URL: "${template}"\r\nAutoDestroy: 0\r\n`;
      const peer = await station.peer();
      peer.request(
        `POST ${path} HTTP/1.1`,
        'Host: 127.0.0.1',
        'User-Agent: WMEncoder/11.0',
        'Content-Type: application/x-wms-pushsetup',
        'Cookie: push-id=0',
        `Content-Length: ${body.length}`,
      );
      peer.send(body);
      return peer.until((bytes) => parseResponse(bytes)?.status);
    };
    expect(await setup('/new', '')).toBe(404);
    expect(await setup('/new', '/nothing')).toBe(404);
    expect(await setup('/new', '/base')).toBe(204);
    expect(await setup('/base', '')).toBe(204);
    expect(await setup('/base', '/nothing')).toBe(204);
  });

  it('accept no push to a new name at all, if that is the policy', async () => {
    await station.close();
    station = await ServerStation.open({ push: { newPoints: 'none' } });
    expect((await station.push('/live')).setupStatus).toBe(404);
  });

  it('reject packets that no player could receive, and go on', async () => {
    const encoder = await station.push('/huge', { packetSize: 65_535 });
    expect(parseResponse(await encoder.peer.untilClosed())?.status).toBe(400);
    const good = await station.push('/live');
    await live('/live');
    good.key();
    expect((await station.ask('GET /live HTTP/1.0', PLAYER[0]!)).status).toBe(200);
  });

  it('are not kept if they were requested but never fed', async () => {
    await station.close();
    station = await ServerStation.open({ limits: { connections: 5_000, points: 3 } });
    for (let count = 0; count < 20; count++) expect((await station.setUp(`/job-${count}`)).response.status).toBe(204);
    expect(station.server.stats().points).toBeLessThanOrEqual(3);
  });

  it('are limited in number', async () => {
    await station.close();
    station = await ServerStation.open({ limits: { connections: 100, points: 1 } });
    const first = await station.push('/a');
    await live('/a');
    expect((await station.push('/b')).setupStatus).toBe(503);
    first.key();
    first.end();
    await until('no publishers', () => station.server.stats().publishers === 0);
    expect((await station.push('/b')).setupStatus).toBe(204);
  });
});

describe('content', () => {
  it('that cannot be played causes a warning that names it, whichever protocol asks', async () => {
    await station.close();
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-server-'));
    try {
      await writeFile(join(folder, 'text.wmv'), 'hello');
      await writeFile(join(folder, 'bad.wsx'), '<?wsx version="1.0"?><smil>');
      const warnings: string[] = [];
      station = await ServerStation.open({ content: { folder } }, { warning: (message) => warnings.push(message) });
      expect((await station.ask('GET /text.wmv HTTP/1.1', PLAYER[0]!)).status).toBe(500);
      expect((await station.ask('GET /bad.wsx HTTP/1.1', 'Host: x')).status).toBe(500);
      expect(warnings).toEqual([expect.stringContaining('text.wmv'), expect.stringContaining('bad.wsx')]);
      expect(station.errors).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('events of players', () => {
  it('[WMSP-278] are requested if there is a listener, and reported to it', async () => {
    const agent = 'User-Agent: NSPlayer/9.0.0.2833';
    const subscription = async () => {
      await station.push('/live');
      await live('/live');
      return (await station.ask('GET /live HTTP/1.0', agent)).field('Cache-Control');
    };
    expect(await subscription()).not.toContain('x-wms-event-subscription');
    await station.close();
    const told: string[] = [];
    station = await ServerStation.open({}, { event: (path, body) => told.push(`${path} ${body}`) });
    expect(await subscription()).toContain('x-wms-event-subscription="remote-open');
    const peer = await station.peer();
    peer.request('POST /live HTTP/1.1', agent, 'Content-Type: application/x-wms-sendevent', 'Content-Length: 5');
    peer.send('event');
    expect((await peer.until(parseResponse)).status).toBe(200);
    expect(told).toEqual(['/live event']);
  });
});

describe('rules and limits', () => {
  it('do not give a file to users who may only play the point of that name without the suffix', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'wmcast-'));
    await station.close();
    const nobody = { addresses: ['192.0.2.1'] };
    const { access } = defaultConfig();
    station = await ServerStation.open({
      access: { ...access, play: nobody },
      content: { folder },
      points: [{ path: '/film', access: { play: {} } }],
    });
    try {
      await station.push('/film');
      await live('/film');
      const status = async (path: string, ...more: string[]) =>
        (await station.ask(`HEAD ${path} HTTP/1.1`, 'Host: x', ...more)).status;
      expect(await status('/film.wmv?MSWMExt=.asf')).toBe(200);
      await writeFile(join(folder, 'film.wmv'), 'x');
      expect(await status('/film.wmv?MSWMExt=.asf')).toBe(403);
      const describe = await station.ask('GET /film.wmv HTTP/1.0', 'User-Agent: NSPlayer/12.0');
      expect(describe.status).toBe(403);
      expect(await status('/film?MSWMExt=.asf')).toBe(200);
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('count players over plain HTTP towards the limit', async () => {
    await station.close();
    station = await ServerStation.open({ limits: { players: 1, connections: 100, points: 100 } });
    await station.push('/live');
    await live('/live');
    const first = await station.peer();
    first.request('GET /live?MSWMExt=.asf HTTP/1.1', 'Host: x');
    expect((await first.until(parseResponse)).status).toBe(200);
    expect((await station.ask('GET /live?MSWMExt=.asf HTTP/1.1', 'Host: x')).status).toBe(503);
    expect((await station.ask('GET /live HTTP/1.1', 'Host: x')).status).toBe(200);
  });
});

describe('a browser', () => {
  it('[WMSP-268] [WMSP-210] gets an .asx that names the same URL', async () => {
    await station.push('/live', { title: 'News & more' });
    await live('/live');
    const response = await station.ask(
      'GET /live HTTP/1.1',
      'User-Agent: Mozilla/5.0',
      `Host: 127.0.0.1:${station.port}`,
    );
    expect(response.status).toBe(200);
    expect(response.field('Content-Type')).toBe('video/x-ms-asf');
    const text = response.body.toString('utf8');
    expect(text).toContain(`<ref href="mms://127.0.0.1:${station.port}/live"/>`);
    expect(text).toContain(`<ref href="http://127.0.0.1:${station.port}/live?MSWMExt=.asf"/>`);
    expect(text).toContain('<title>News &amp; more</title>');
  });

  it('does not get a malformed host echoed', async () => {
    await station.push('/live');
    await live('/live');
    expect((await station.ask('GET /live HTTP/1.1', 'Host: a"><script>')).status).toBe(400);
  });

  it('is redirected to where content has moved', async () => {
    await station.close();
    const redirects = [
      { path: '/old', to: 'http://other.example/new', proxy: false },
      { path: '/far', to: 'http://proxy.example/', proxy: true },
    ];
    station = await ServerStation.open({ redirects });
    const [old, far] = [
      await station.ask('GET /old HTTP/1.1', 'Host: x'),
      await station.ask('GET /far HTTP/1.1', 'Host: x'),
    ];
    expect([old.status, old.field('Location')]).toEqual([302, 'http://other.example/new']);
    expect([far.status, far.field('Location')]).toEqual([305, 'http://proxy.example/']);
  });

  it('is told in one sentence what does not exist, and what is not supported', async () => {
    const missing = await station.ask('GET /nothing HTTP/1.1', 'Host: x');
    expect(missing.status).toBe(404);
    expect(missing.body.toString()).toBe('There is nothing at /nothing.\n');
    const wrong = await station.ask('PUT /live HTTP/1.1', 'Host: x');
    expect(wrong.status).toBe(405);
    expect(wrong.field('Allow')).toContain('GET');
  });

  it('may request only the head', async () => {
    await station.push('/live');
    await live('/live');
    const response = await station.ask('HEAD /live.asf HTTP/1.1', 'Host: x');
    expect(response.status).toBe(200);
    expect(response.body).toHaveLength(0);
  });
});

describe('starting and stopping', () => {
  it('reports a port in use', async () => {
    const config = { ...defaultConfig(), host: '127.0.0.1', httpPort: station.port };
    await expect(MediaServer.start(config)).rejects.toMatchObject({ code: 'WM_PORT_IN_USE' });
    await expect(MediaServer.start(config)).rejects.toBeInstanceOf(WmError);
  });

  it('end players with $E and encoders with 503', async () => {
    const encoder = await station.push('/live');
    await live('/live');
    const player = await watch('/live');
    await player.until((bytes) => (bytes.includes('$H') ? true : undefined));
    await station.server.close();
    expect(wirePackets(parseResponse(await player.untilClosed())!.body).at(-1)).toMatchObject({ id: 'E' });
    expect(parseResponse(await encoder.peer.untilClosed())?.status).toBe(503);
  });
});
