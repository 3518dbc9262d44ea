import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { until } from '../support/until.js';
import { stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';
import { ffmpegPath } from './support/ffmpeg.js';

afterAll(async () => {
  await stopAll();
  removeFolders();
});

const WHERE = { config: '' };

async function serving(text: string): Promise<Server> {
  const config = join(newFolder(), 'serve.yaml');
  WHERE.config = config;
  await writeFile(config, text);
  return Server.start('--config', config, '--msbd-port', 'none', '--admin-port', 'none');
}

describe('HLS', () => {
  it('shows a live point to browsers, as a player of the list, and only to those who may play it', async () => {
    const server = await serving(
      'hls: { points: 1 }\npoints:\n  - { path: /live }\n  - { path: /secret, access: { play: { addresses: [192.0.2.1] } } }\n',
    );
    await server.publish('/live', '--size', '160x120');
    await server.publish('/secret', '--size', '160x120');
    expect((await fetch(server.url('/secret/index.m3u8'))).status).toBe(403);
    const url = server.url('/live/index.m3u8');
    const decoded = await execa(ffmpegPath, [
      ...['-v', 'error', '-user_agent', 'Phone/1', '-i', url, '-t', '3', '-f', 'framecrc', '-'],
    ]);
    expect(decoded.stderr).toBe('');
    const frames = decoded.stdout.split('\n').filter((line) => !line.startsWith('#'));
    expect(frames.filter((line) => line.startsWith('0,')).length).toBeGreaterThanOrEqual(70);
    expect(frames.filter((line) => line.startsWith('1,')).length).toBeGreaterThanOrEqual(120);
    expect(decoded.stdout).toContain('#codec_id 1: pcm_s16le');
    const { players } = (await (await fetch(server.url('/api/players'))).json()) as { players: { id: string }[] };
    expect(players).toMatchObject([{ protocol: 'HLS', path: '/live', client: 'Phone/1', remoteAddress: '127.0.0.1' }]);
    const guide = await (await fetch(server.url('/'), { headers: { Accept: 'text/html' } })).text();
    expect(guide).toContain('<A HREF="/live/index.m3u8">browser</A>');
    expect(guide).not.toContain('secret');
    const end = { method: 'DELETE', headers: { 'X-Requested-With': 'test' } };
    expect((await fetch(server.url(`/api/sessions/${players[0]?.id}`), end)).status).toBe(204);
    expect((await fetch(url, { headers: { 'User-Agent': 'Phone/1' } })).status).toBe(403);
    await until('the encoder to end', async () => {
      const point = (await (await fetch(server.url('/api/points/live'))).json()) as { players: number };
      return point.players === 0;
    });
  });

  it('keeps viewers of a point that denies new ones or gets another rule, and ends those of one that stops', async () => {
    const text = (rule: string) => `hls: { points: 1 }\npoints: [{ path: /live${rule} }]\n`;
    const server = await serving(text(''));
    await server.publish('/live', '--size', '160x120');
    const view = async (agent: string) =>
      (await fetch(server.url('/live/index.m3u8'), { headers: { 'User-Agent': agent } })).status;
    const post = async (action: string) => {
      const how = { method: 'POST', headers: { 'X-Requested-With': 'test' } };
      expect((await fetch(server.url(`/api/points/live/${action}`), how)).status).toBe(204);
    };
    const viewers = async () => {
      const { players } = (await (await fetch(server.url('/api/players'))).json()) as { players: { client: string }[] };
      return players.map(({ client }) => client);
    };
    expect(await view('First')).toBe(200);
    await post('deny');
    expect([await view('First'), await view('Second')]).toEqual([200, 503]);
    await post('open');
    const reload = server.next('reload');
    await writeFile(WHERE.config, text(', access: { play: { addresses: [192.0.2.1] } }'));
    await reload;
    expect([await view('First'), await view('Second')]).toEqual([200, 403]);
    expect(await viewers()).toEqual(['First']);
    await post('stop');
    await until('the viewer to be gone', async () => (await viewers()).length === 0);
    expect(await view('First')).toBe(403);
  });

  it('is off unless it is configured', async () => {
    const server = await serving('points: [{ path: /live }]\n');
    await server.publish('/live', '--size', '160x120');
    expect((await fetch(server.url('/live/index.m3u8'))).status).toBe(404);
    const guide = await (await fetch(server.url('/'), { headers: { Accept: 'text/html' } })).text();
    expect(guide).not.toContain('index.m3u8');
  });
});
