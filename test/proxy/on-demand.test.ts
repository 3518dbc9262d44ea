import { readdir } from 'node:fs/promises';
import { closeAll, folder, origin, received, reverse } from './house.js';

afterEach(closeAll);

describe('a proxy with a cache', () => {
  it('[WMSP-266] [WMSP-178] gives a file of its origin, and from the cache the second time, the same in every byte', async () => {
    const { tap, station, media } = await origin({ 'clip.wmv': { seconds: 8 } });
    const cache = await folder();
    const proxy = await reverse(tap.port, { cache });
    const direct = await received(`http://127.0.0.1:${station.port}/clip.wmv`);
    const first = await received(`http://127.0.0.1:${proxy.port}/clip.wmv`);
    expect(first.packets).toHaveLength(direct.packets.length);
    expect(Buffer.concat(first.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(first.header.equals(direct.header)).toBe(true);
    expect(media.get('clip.wmv')!.includes(Buffer.concat(first.packets))).toBe(true);
    const before = tap.requests.length;
    const second = await received(`http://127.0.0.1:${proxy.port}/clip.wmv`);
    expect(Buffer.concat(second.packets).equals(Buffer.concat(direct.packets))).toBe(true);
    expect(tap.requests.slice(before)).toEqual(['info']);
    expect(proxy.server.stats().proxy).toMatchObject({ hits: 1, requests: 2, copies: 1 });
    expect((await readdir(cache)).filter((name) => /\.(?:asf|map|json)$/.test(name))).toHaveLength(3);
    expect(proxy.warnings).toEqual([]);
  });
});
