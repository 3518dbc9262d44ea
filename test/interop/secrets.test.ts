import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { makeSecrets, SECRET_KINDS } from '../../src/auth/secrets.js';
import { changeUserFile } from '../../src/auth/user-file.js';
import { until } from '../support/until.js';
import { Server } from './support/commands.js';
import { makeAsf, newContentFolder } from './support/content.js';

/** What every secret of this test begins with. */
const SECRET = 'S3cret';
const secret = (place: string) => `${SECRET}${place}`;

const WMCAST = fileURLToPath(new URL('../../bin/wmcast.js', import.meta.url));

/** Nobody listens there. */
const NOWHERE = '127.0.0.1:1';

describe('a secret', () => {
  const folder = newContentFolder();
  let server: Server;
  let config: string;
  let admin: string;

  beforeAll(async () => {
    await makeAsf('film.wmv', { duration: 2, folder });
    const users = join(folder, 'users.yaml');
    const entry = {
      name: 'anna',
      groups: [],
      ...(await makeSecrets('anna', secret('Password'), 'wmcast', SECRET_KINDS)),
    };
    await changeUserFile(users, async () => ({ name: 'anna', entry }));
    config = join(folder, 'serve.yaml');
    const text = `
content: { folder: ${folder} }
users: ${users}
msbd: { port: none }
mms: { port: none }
admin: { port: 0 }
logs: { folder: ${join(folder, 'logs')} }
basicWithoutTls: true
access: { play: { users: [anna] } }
points:
  - { path: /pulled, source: "http://anna:${secret('Url')}@${NOWHERE}/live?token=${secret('Token')}" }
  - path: /first
    source: ["mms://anna:${secret('Mms')}@${NOWHERE}/live?key=${secret('Key')}", "rtsp://anna:${secret('Rtsp')}@${NOWHERE}/live"]
  - { path: /encoded, source: { encode: "rtsp://anna:${secret('Camera')}@${NOWHERE}/1?auth=${secret('Auth')}" } }
hooks:
  - { on: [play, stop, source-lost], run: "http://anna:${secret('Hook')}@${NOWHERE}/hook?token=${secret('HookToken')}" }
`;
    await writeFile(config, text);
    server = await Server.start('--config', config, '--verbose');
    const { ports } = (await server.event('ready')) as unknown as { ports: { admin: number } };
    admin = `http://127.0.0.1:${ports.admin}`;
  });

  const login = (password: string) => `Basic ${Buffer.from(`anna:${password}`).toString('base64')}`;

  async function ask(path: string, fields: Record<string, string> = {}): Promise<string> {
    const signal = AbortSignal.timeout(2_000);
    const answer = await fetch(path.startsWith('/') ? admin + path : path, { headers: fields, signal }).catch(
      () => undefined,
    );
    return answer ? `${JSON.stringify([...answer.headers])} ${await answer.text().catch(() => '')}` : '';
  }

  it('that was given to a server is in no log, page, metric and answer of it', async () => {
    const said: Record<string, string> = {};
    const play = (path: string, password: string) =>
      ask(server.url(`${path}?token=${secret('Player')}`), { Authorization: login(password) });
    said['player'] = await play('/film.wmv', secret('Password'));
    said['wrong'] = await play('/film.wmv', secret('Wrong'));
    said['encoded'] = await play('/encoded', secret('Password'));
    await server.until('the failures', () =>
      ['/pulled', '/first', '/encoded', 'The hook'].every((name) =>
        server.log.some((line) => line.includes('WARN') && line.includes(name)),
      ),
    );
    for (const path of [
      '/',
      '/metrics',
      '/api/status',
      '/api/points',
      '/api/config',
      '/api/sessions',
      '/api/logs',
      '/openapi.json',
    ])
      said[path] = await ask(path);
    for (const point of ['pulled', 'first', 'encoded']) said[point] = await ask(`/api/points/${point}`);
    for (const path of ['/', '/pulled.asx', '/film.wmv.asx', '/pulled.nsc'])
      said[`public ${path}`] = await ask(server.url(path));
    said['print'] = (await execa(process.execPath, [WMCAST, 'config', 'print', config])).stdout;
    const logs = join(folder, 'logs');
    await until('a line of the log files', async () => (await readdir(logs)).length > 0);
    for (const name of await readdir(logs)) said[name] = await readFile(join(logs, name), 'utf8');
    expect(said['/api/config']).toContain(NOWHERE);
    said['log'] = server.log.join('\n');
    said['events'] = JSON.stringify(server.events);
    const leaks = Object.entries(said).flatMap(([where, text]) =>
      [...text.matchAll(new RegExp(`.{0,40}${SECRET}\\w*`, 'g'))].map(([leak]) => `${where}: ${leak}`),
    );
    expect(leaks).toEqual([]);
  });
});
