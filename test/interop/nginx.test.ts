import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.js';
import { Child } from './support/child.js';
import { newPoint, Server } from './support/commands.js';
import { makeAsf, newFolder } from './support/content.js';
import { FfmpegPlayer } from './support/players.js';
import { itNeeds, program } from './support/programs.js';
import { freePort } from './support/vlc-server.js';

const SAMPLE = fileURLToPath(new URL('../../samples/nginx.conf', import.meta.url));
/** No browser, so it gets the file and not its announcement. */
const PLAYER = { 'User-Agent': 'curl/8' };

describe('nginx in front of a server, as the sample configures it', () => {
  const folder = newFolder();
  const media = join(folder, 'a media');

  async function front(server: Server): Promise<string> {
    const port = await freePort();
    const sample = await readFile(SAMPLE, 'utf8');
    const config = sample
      .replace('listen 80;', `listen 127.0.0.1:${port};`)
      .replace('127.0.0.1:8080', `127.0.0.1:${server.port}`)
      .replace('/srv/media/', `"${media}/"`)
      .replace('worker_processes auto;', 'worker_processes 1; daemon off; user root;');
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path tmp;`);
    await writeFile(
      join(folder, 'nginx.conf'),
      config.replace('access_log off;', `access_log off; ${temporary.join(' ')}`),
    );
    new Child('nginx', ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf']);
    const url = `http://127.0.0.1:${port}`;
    await until('nginx to listen', async () => (await fetch(`${url}/none`).catch(() => undefined)) !== undefined);
    return url;
  }

  itNeeds(
    [program('nginx'), program('ffmpeg')],
    'sends files and ranges of them itself, to those who may have them, and passes on streams',
    async () => {
      await mkdir(media);
      await makeAsf('a film.wmv', { duration: 3, folder: media });
      await makeAsf('secret.wmv', { duration: 1, folder: media });
      const film = await readFile(join(media, 'a film.wmv'));
      const config = join(folder, 'serve.yaml');
      const closed = 'points:\n  - path: /station\n';
      await writeFile(config, `content: { folder: "${media}", accelRedirect: /wmcast-content/ }\n${closed}`);
      const server = await Server.start('--config', config, '--msbd-port', 'none', '--admin-port', 'none');
      const url = await front(server);

      const whole = await fetch(`${url}/a%20film.wmv`, { headers: PLAYER });
      expect([whole.status, whole.headers.get('Content-Type')]).toEqual([200, 'video/x-ms-wmv']);
      // The entity tag is of nginx: wmcast has none.
      expect(whole.headers.get('ETag')).toMatch(/^"/);
      expect(film.equals(Buffer.from(await whole.arrayBuffer()))).toBe(true);
      const part = await fetch(`${url}/a%20film.wmv`, { headers: { ...PLAYER, Range: 'bytes=1000-1999' } });
      expect([part.status, part.headers.get('Content-Range')]).toEqual([206, `bytes 1000-1999/${film.length}`]);
      expect(film.subarray(1000, 2000).equals(Buffer.from(await part.arrayBuffer()))).toBe(true);
      // Only wmcast leads there.
      expect((await fetch(`${url}/wmcast-content/a%20film.wmv`, { headers: PLAYER })).status).toBe(404);
      expect((await fetch(`${url}/missing.wmv`, { headers: PLAYER })).status).toBe(404);
      // Who asks wmcast itself gets the file from it.
      const own = await fetch(server.url('/a%20film.wmv'), { headers: PLAYER });
      expect([own.headers.get('ETag'), own.headers.get('X-Accel-Redirect')]).toEqual([null, null]);
      expect(film.equals(Buffer.from(await own.arrayBuffer()))).toBe(true);

      const point = newPoint();
      await server.publish(point);
      const player = new FfmpegPlayer(`${url}${point}.asf`);
      await player.decodes(25, 1);
      await player.stop();

      await writeFile(
        config,
        `content: { folder: "${media}", accelRedirect: /wmcast-content/ }\naccess: { play: { addresses: [192.0.2.1] } }\n`,
      );
      server.signal('SIGHUP');
      await server.until('the report', () => server.log.find((line) => line.includes('was read again')));
      expect((await fetch(`${url}/a%20film.wmv`, { headers: PLAYER })).status).toBe(403);
      await server.stop();
    },
  );
});
