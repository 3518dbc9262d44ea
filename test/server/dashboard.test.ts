import { readFile } from 'node:fs/promises';
import { until } from '../support/until.js';
import { ServerStation } from './station.js';

interface Panel {
  readonly id: number;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly { readonly expr: string; readonly legendFormat: string }[];
}

const WORDS = new Set(['sum', 'max', 'min', 'rate', 'topk', 'by', 'instance', 'protocol', 'point']);

let station: ServerStation;

beforeEach(async () => {
  station = await ServerStation.open({ admin: { host: '127.0.0.1', port: 0 } });
});
afterEach(() => station.close());

/** Returns the metrics of a server with a player, each with its labels. */
async function metrics(): Promise<ReadonlyMap<string, readonly string[]>> {
  const encoder = await station.push('/live');
  await until('the point to be live', () => station.server.points.get('/live')?.broadcast.live);
  const player = await station.peer();
  player.request('GET /live.asf HTTP/1.0', 'Host: 127.0.0.1');
  await until('a player', () => {
    encoder.key();
    return station.server.stats().players === 1;
  });
  const text = await (await fetch(`http://127.0.0.1:${station.server.ports.admin}/metrics`)).text();
  const samples = [...text.matchAll(/^(\w+)(?:\{(.*)\})? /gm)];
  return new Map(
    samples.map(([, name = '', labels = '']) => [name, [...labels.matchAll(/(\w+)=/g)].map(([, label]) => label!)]),
  );
}

describe('the dashboard for Grafana', () => {
  it('asks for metrics and labels that a server has', async () => {
    const file = new URL('../../samples/grafana/dashboard.json', import.meta.url);
    const { panels } = JSON.parse(await readFile(file, 'utf8')) as { panels: readonly Panel[] };
    const known = await metrics();
    for (const { title, targets } of panels) {
      for (const { expr, legendFormat } of targets) {
        const bare = expr.replace(/"[^"]*"|\[[^\]]*\]/g, '');
        const names = [...bare.matchAll(/[a-z]\w*/g)].map(([name]) => name).filter((name) => !WORDS.has(name));
        expect([title, names.filter((name) => !known.has(name))]).toEqual([title, []]);
        // Prometheus adds the instance.
        const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g), ...bare.matchAll(/by \((\w+)\)/g)].map(
          ([, label]) => label!,
        );
        const missing = labels.filter((label) => label !== 'instance' && !known.get(names[0]!)?.includes(label));
        expect([title, missing]).toEqual([title, []]);
        expect([title, expr.split('(').length]).toEqual([title, expr.split(')').length]);
      }
    }
  });

  it('has panels with ids of their own that do not overlap', async () => {
    const file = new URL('../../samples/grafana/dashboard.json', import.meta.url);
    const { panels } = JSON.parse(await readFile(file, 'utf8')) as { panels: readonly Panel[] };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
  });
});
