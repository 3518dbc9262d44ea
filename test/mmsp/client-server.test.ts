import { until } from '../support/until.js';
import { Content } from '../wmsp/content.js';
import { receive } from './client-support.js';
import { Station } from './station.js';

let station: Station;
afterEach(async () => {
  await station.close();
  expect(station.errors).toEqual([]);
});

describe('our client with our server', () => {
  it.each([
    ['mmst', '127.0.0.1'],
    ['mmsu', '127.0.0.1'],
    ['mmst', '::1'],
    ['mmsu', '::1'],
  ])('receives all of a file, %s at %s', async (scheme, host) => {
    const content = await Content.create();
    await content.media('film.wmv', { seconds: 4 });
    station = await Station.open({ content, host });
    const authority = host.includes(':') ? `[${host}]` : host;
    const { packets, error } = await receive({ url: `${scheme}://${authority}:${station.port}/film.wmv`, speed: 50 });
    expect([error, packets.length]).toEqual([undefined, 60]);
    await until('the report', () => station.played.length === 1);
    expect(station.played).toMatchObject([{ protocol: 'MMSP', transport: scheme === 'mmsu' ? 'udp' : 'tcp' }]);
    await content.close();
  });

  it.each(['mmst', 'mmsu'])('goes on with the next entry of a live point, %s', async (scheme) => {
    station = await Station.open();
    const url = `${scheme}://127.0.0.1:${station.port}/live`;
    let headers = 0;
    const { events, error } = await receive({ url }, (_source, event) => {
      if (event.type === 'header' && ++headers === 1) {
        void until('the player', () => station.server.players === 1).then(() => station.packets(3));
      }
      if (event.type !== 'packet') return;
      if (headers === 2) station.end();
      else if (event.packet.sendTime === 200) {
        station.end(true);
        station.header();
        station.packets(3);
      }
    });
    expect(error).toBeUndefined();
    expect(events.map(({ type }) => type[0]).join('')).toBe('hpppehpppe');
  });

  it.each(['mmst', 'mmsu'])('ends with an entry that is over before it was asked for, %s', async (scheme) => {
    station = await Station.open();
    const url = `${scheme}://127.0.0.1:${station.port}/live`;
    const { error } = await receive({ url }, (_source, event) => {
      if (event.type === 'header' && station.server.players === 0) {
        void until('the player', () => station.server.players === 1).then(() => station.packets(3));
      }
      if (event.type !== 'packet' || event.packet.sendTime !== 200) return;
      station.end(true);
      station.header(false);
      station.end();
    });
    expect(error).toBeUndefined();
  });

  it('tells the server what it received', async () => {
    const logs: Buffer[] = [];
    const content = await Content.create();
    await content.media('film.wmv', { seconds: 2 });
    station = await Station.open({ content, onLog: (_path, _address, _client, log) => logs.push(log) });
    await receive({ url: `mmst://127.0.0.1:${station.port}/film.wmv`, speed: 50 });
    await until('the log', () => logs.length === 1);
    expect(logs[0]!.readUInt32LE(0)).toBe(1490);
    await content.close();
  });
});
