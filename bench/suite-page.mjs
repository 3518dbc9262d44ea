// The page of bench/suite.mjs: a table for each part, and curves.

const STYLE =
  'body{font:14px sans-serif;max-width:75em;margin:2em auto}td,th{padding:2px 8px;text-align:right}' +
  'table{border-collapse:collapse;margin-bottom:2em}tr+tr{border-top:1px solid #ddd}text{font-size:10px;text-anchor:middle}' +
  'figure{display:inline-block;margin:0}.note{color:#666}';

const TITLES = {
  asf: 'Reading and rewriting ASF',
  players: 'Live players by WMSP',
  rates: 'Live, by bit rate',
  protocols: 'Live, by protocol',
  msbd: 'Live by MSBD',
  ondemand: 'On demand',
  push: 'Encoders',
  glass: 'From camera to picture',
  join: 'From the connection to the first key frame',
};

/** What is drawn of a part: figures over a column. */
const CURVES = [
  ['players', 'players', ['cpuSecondsPerGB', 'ceiling'], 'CPU, s/GB'],
  ['players', 'players', ['firstDataMsP99'], 'first data, 99th percentile, ms'],
  ['players', 'players', ['kilobytesPerPlayer'], 'memory of a player, KB'],
  ['players', 'players', ['lateSends'], 'sends that were late by more than 500 ms'],
  ['rates', 'kbps', ['cpuSecondsPerGB', 'ceiling'], 'CPU, s/GB'],
];
const COLORS = ['#246', '#b52'];

const escaped = (text) =>
  String(text ?? '')
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;');

/** Figures over a logarithmic axis. */
function curve(title, axis, lines) {
  const [width, height, margin] = [520, 240, 40];
  const all = lines.flatMap(({ points }) => points);
  const top = Math.max(...all.map(({ y }) => y), 1e-9) * 1.15;
  const log = (x) => Math.log10(Math.max(1, x));
  const [first, last] = [Math.min(...all.map(({ x }) => log(x))), Math.max(...all.map(({ x }) => log(x)))];
  const place = ({ x, y }) => [
    (margin + ((log(x) - first) / Math.max(1e-9, last - first)) * (width - 2 * margin)).toFixed(1),
    (height - margin - (y / top) * (height - 2 * margin)).toFixed(1),
  ];
  const drawn = lines.map(({ name, points }, index) => {
    const color = COLORS[index % COLORS.length];
    const dots = points.map((point) => {
      const [x, y] = place(point);
      const number = `<text x="${x}" y="${height - 22}">${point.x}</text>`;
      return `<circle cx="${x}" cy="${y}" r="3" fill="${color}"/><text x="${x}" y="${y - 8}">${point.y}</text>${number}`;
    });
    const path = points.map((point) => place(point).join(',')).join(' ');
    const label = `<text x="${margin + 90 * index}" y="12" fill="${color}">${name}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${color}"/>${dots.join('')}${label}`;
  });
  const base = `<path d="M${margin} ${height - margin}H${width - margin}" stroke="#999"/>`;
  const named = `<text x="${width / 2}" y="${height - 6}">${axis}</text>`;
  return `<figure><figcaption>${title}</figcaption><svg width="${width}" height="${height}">${base}${named}${drawn.join('')}</svg></figure>`;
}

function table(rows) {
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) =>
    rows.some((row) => row[name] !== undefined && row[name] !== ''),
  );
  const line = (cells, tag) => `<tr>${cells.map((cell) => `<${tag}>${escaped(cell)}</${tag}>`).join('')}</tr>`;
  return `<table>${line(columns, 'th')}${rows
    .map((row) =>
      line(
        columns.map((name) => row[name]),
        'td',
      ),
    )
    .join('')}</table>`;
}

function curvesOf(part, rows) {
  return CURVES.filter(([of]) => of === part && rows.length > 1).map(([, axis, names, title]) => {
    const lines = names.map((name) => ({
      name,
      points: rows.filter((row) => row[name] !== undefined).map((row) => ({ x: row[axis], y: row[name] })),
    }));
    return lines.some(({ points }) => points.length > 0) ? curve(title, axis, lines) : '';
  });
}

/** Writes the results of the suite as a page. */
export function page({ machine, node, extent, runs, seconds, parts, failed }) {
  const sections = Object.entries(parts)
    .filter(([, rows]) => rows.length > 0)
    .map(([part, rows]) => `<h2>${TITLES[part]}</h2>${curvesOf(part, rows).join('')}${table(rows)}`);
  const failures = Object.entries(failed).map(([part, why]) => `<p>${escaped(part)} failed: ${escaped(why)}</p>`);
  const about = `${escaped(machine)}, Node.js ${node}; ${extent}, ${runs} runs, ${seconds} s`;
  const note =
    'CPU seconds for each GB that players got. The ceiling writes one shared buffer to all players and knows no protocol.';
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>wmcast bench</title><style>${STYLE}</style>
<h1>wmcast bench</h1><p>${about}</p><p class="note">${note}</p>${failures.join('')}${sections.join('\n')}</html>\n`;
}
