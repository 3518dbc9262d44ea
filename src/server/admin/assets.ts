import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

/** A file of the status page. */
export interface Asset {
  /** Content-Type. */
  readonly type: string;
  readonly body: string;
}

const FOLDER = new URL('../../../assets/status/', import.meta.url);
const TYPES = { css: 'text/css', html: 'text/html', js: 'text/javascript', svg: 'image/svg+xml' } as const;
const FILES = [
  ...['index.html', 'status.css', 'status.svg', 'status.js'],
  ...['page.js', 'chart.js', 'points.js', 'tables.js', 'session-logs.js'],
];

/** Reads the status page with everything that it needs, by name; nothing of it comes from elsewhere. */
export function statusAssets(): ReadonlyMap<string, Asset> {
  const { resolve } = createRequire(import.meta.url);
  const asset = (name: string, place: string | URL): [string, Asset] => {
    const ending = name.slice(name.lastIndexOf('.') + 1) as keyof typeof TYPES;
    return [name, { type: `${TYPES[ending]}; charset=utf-8`, body: readFileSync(place, 'utf8') }];
  };
  return new Map([
    ...FILES.map((name) => asset(name, new URL(name, FOLDER))),
    asset('uplot.js', resolve('uplot/dist/uPlot.iife.min.js')),
    asset('uplot.css', resolve('uplot/dist/uPlot.min.css')),
  ]);
}
