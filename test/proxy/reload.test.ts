import { readdir } from 'node:fs/promises';
import { parseConfig } from '../../src/server/config-file.js';
import { ServerStation } from '../server/station.js';
import { until } from '../support/until.js';
import { NEW } from '../wmsp/station.js';
import { closeAll, folder, origin, received } from './house.js';

const stations: ServerStation[] = [];
afterEach(async () => {
  for (const each of stations.splice(0)) await each.close();
  await closeAll();
});

async function station(text: string) {
  let current = text;
  const load = async () => ({ ...parseConfig(current, 'serve.yaml'), host: '127.0.0.1', httpPort: 0 });
  const made = await ServerStation.open(await load(), {}, { load });
  stations.push(made);
  const reload = (next: string) => {
    current = next;
    return made.server.reload();
  };
  return { made, reload };
}

const at = (port: number) => `http://127.0.0.1:${port}/clip.wmv`;
const describe_ = (made: ServerStation) => made.ask('GET /clip.wmv HTTP/1.1', NEW, 'Host: x');
const DEAD = "origin: 'http://127.0.0.1:1'";

describe('a new configuration of a proxy', () => {
  it('leads to another origin, and to a smaller cache, without a restart', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 20 } });
    const cache = await folder();
    const stored = (size: number) => `cache: { folder: ${cache}, maxSize: ${size} }`;
    const { made, reload } = await station(`proxy: { ${DEAD}, ${stored(100)} }`);
    expect((await describe_(made)).status).toBe(503);
    const right = `origin: 'http://127.0.0.1:${tap.port}'`;
    expect(await reload(`proxy: { ${right}, ${stored(100)} }`)).toMatchObject({
      changed: ['proxy.origin'],
      restart: [],
    });
    await received(at(made.port));
    const copies = async () => (await readdir(cache)).filter((name) => name.endsWith('.asf')).length;
    expect(await copies()).toBe(1);
    const report = await reload(`proxy: { ${right}, ${stored(1)} }`);
    expect(report).toMatchObject({ changed: ['proxy.cache.maxSize'], restart: [] });
    // What is open stays for a moment.
    await until('the content is closed', async () => {
      await reload(`proxy: { ${right}, ${stored(2)} }`);
      await reload(`proxy: { ${right}, ${stored(1)} }`);
      return made.server.stats().proxy!.copiedBytes < 1_000_000;
    });
  }, 30_000);

  it('says who may play, and which hosts requests may name', async () => {
    const { tap } = await origin({ 'clip.wmv': { seconds: 1 } });
    const common = `privateSources: [loopback]\nproxy: { forward: true`;
    const { made, reload } = await station(`${common}, hosts: [media.example] }`);
    const ask = async () => (await made.ask(`GET ${at(tap.port)} HTTP/1.1`, NEW, 'Host: x')).status;
    expect(await ask()).toBe(403);
    expect(await reload(`${common} }`)).toMatchObject({ changed: ['proxy.hosts'] });
    expect(await ask()).toBe(200);
    await reload(`${common}, access: { addresses: [192.0.2.1] } }`);
    expect(await ask()).toBe(403);
    await reload('privateSources: [loopback]\nproxy: { transparent: true }');
    expect(await ask()).toBe(404);
  });

  it('says what needs a restart', async () => {
    const { made, reload } = await station(`proxy: { ${DEAD}, name: one, cache: { folder: ${await folder()} } }`);
    const report = await reload(`proxy: { ${DEAD}, name: two, cache: { folder: ${await folder()} } }`);
    expect(report).toMatchObject({ changed: [], restart: ['proxy.cache.folder', 'proxy.name'] });
    expect(await reload('')).toMatchObject({ changed: [], restart: ['proxy'] });
    expect((await describe_(made)).status).toBe(503);
  });
});
