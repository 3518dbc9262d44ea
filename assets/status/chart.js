// Players and bandwidth over time. What is kept is bounded, however long the page is open.
import { $, many, say, size } from './page.js';

/** Figures come every two seconds. */
const SHORT = 300;
/** One figure a minute. */
const LONG = 1440;
const MINUTE = 60;
/** Steps of the time axis, in seconds: never less than what its labels show. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400];

class Ring {
  constructor(most) {
    this.most = most;
    this.columns = [[], [], []];
  }

  add(...values) {
    for (const [index, column] of this.columns.entries()) {
      column.push(values[index]);
      if (column.length > this.most) column.shift();
    }
  }

  get length() {
    return this.columns[0].length;
  }
}

const rings = { short: new Ring(SHORT), long: new Ring(LONG) };
let shown = 'short';
let minute = 0;
let peak = { players: 0, rate: 0 };
const colour = (name) => () => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const place = $('chart');
const grid = { stroke: colour('--line'), width: 1 };
const font = '12px system-ui, sans-serif';
const axis = { stroke: colour('--soft'), grid, ticks: { show: false }, font };

const plot = new globalThis.uPlot(
  {
    width: Math.max(200, place.clientWidth),
    height: place.clientHeight,
    legend: { show: false },
    cursor: { drag: { x: false, y: false }, points: { size: 7 } },
    scales: {
      players: { range: (_, __, most) => [0, Math.max(4, Math.ceil((most ?? 0) * 1.1))] },
      rate: { range: (_, __, most) => [0, Math.max(100_000, (most ?? 0) * 1.1)] },
    },
    series: [
      {},
      {
        scale: 'players',
        stroke: colour('--accent'),
        width: 2,
        fill: () => `${colour('--accent')()}22`,
        points: { show: false },
      },
      { scale: 'rate', stroke: colour('--second'), width: 1.5, points: { show: false } },
    ],
    axes: [
      { ...axis, size: 30, space: 70, incrs: TIME_STEPS, values: (_, splits) => splits.map(timeOf) },
      { ...axis, scale: 'players', size: 44, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000] },
      {
        ...axis,
        scale: 'rate',
        side: 1,
        size: 78,
        grid: { show: false },
        values: (_, splits) => splits.map((rate) => size(rate, 'bit/s')),
      },
    ],
  },
  [[], [], []],
  place,
);

function timeOf(seconds) {
  const options = { hour: '2-digit', minute: '2-digit', ...(shown === 'short' ? { second: '2-digit' } : {}) };
  return new Date(seconds * 1000).toLocaleTimeString([], { ...options, hourCycle: 'h23' });
}

let due = false;

/** Draws with the next frame: many figures at once, as after a pause, are drawn once. */
function draw() {
  if (due || document.hidden) return;
  due = true;
  requestAnimationFrame(drawNow);
}

function drawNow() {
  due = false;
  const ring = rings[shown];
  plot.setData(ring.columns);
  const [, players, rates] = ring.columns;
  const most = Math.max(0, ...players);
  const fastest = Math.max(0, ...rates);
  say($('chart-says'), `At most ${many(most, 'player')} and ${size(fastest, 'bit/s')} in this time.`);
}

/** Adds the figures of a moment. @param rate bits per second */
export function addFigures(players, rate) {
  const now = Math.round(Date.now() / 1000);
  rings.short.add(now, players, rate);
  peak = { players: Math.max(peak.players, players), rate: Math.max(peak.rate, rate) };
  if (rings.long.length === 0 || now - minute >= MINUTE) {
    minute = now;
    rings.long.add(now, peak.players, peak.rate);
    peak = { players: 0, rate: 0 };
  }
  draw();
}

for (const choice of document.querySelectorAll('[data-span]')) {
  choice.addEventListener('click', () => {
    shown = choice.dataset.span;
    for (const each of document.querySelectorAll('[data-span]')) each.setAttribute('aria-pressed', each === choice);
    draw();
  });
}
new ResizeObserver(() => plot.setSize({ width: place.clientWidth, height: place.clientHeight })).observe(place);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => plot.redraw());
document.addEventListener('visibilitychange', draw);
