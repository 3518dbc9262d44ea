const STYLE = `
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --good: #0a7d33; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --good: #6fd38a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 75rem; padding: 1rem; font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(9rem, 1fr)); gap: .75rem; margin: 0; }
dl div { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; }
dt { font-size: .85rem; } dd { margin: 0; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); white-space: nowrap; }
td.wide { white-space: normal; overflow-wrap: anywhere; }
button { font: inherit; padding: .15rem .6rem; margin-right: .35rem; }
.live { color: var(--good); font-weight: 600; } .off { color: var(--bad); }
svg { width: 100%; height: 6rem; border: 1px solid var(--line); border-radius: .5rem; background: var(--soft); }
polyline { fill: none; stroke: currentColor; stroke-width: 2; vector-effect: non-scaling-stroke; }
ol { list-style: none; margin: 0; padding: 0; max-height: 14rem; overflow-y: auto; border: 1px solid var(--line); border-radius: .5rem; }
li { padding: .2rem .75rem; overflow-wrap: anywhere; }
#error:empty { display: none; } #error { border: 2px solid var(--bad); padding: .5rem .75rem; border-radius: .5rem; }
`;

// Texts from the network get into the page as text only, never as HTML.
const SCRIPT = `
'use strict';
const SAMPLES = 300, LINES = 100, SESSIONS = 200;
const $ = (id) => document.getElementById(id);
const size = (n, unit) => { let i = 0; while (n >= 1000 && i < 4) { n /= 1000; i++; } return (n >= 100 || i === 0 ? Math.round(n) : n.toPrecision(3)) + ' ' + ['', 'k', 'M', 'G', 'T'][i] + unit; };
const clock = (s) => [Math.floor(s / 3600), Math.floor(s / 60) % 60, Math.floor(s) % 60].map((n, i) => i ? String(n).padStart(2, '0') : n).join(':');
const make = (tag, text, name) => { const e = document.createElement(tag); if (text !== undefined) e.textContent = text; if (name) e.className = name; return e; };
const base = (path) => 'api/points/' + encodeURIComponent(path.slice(1));
async function call(method, url) {
  try {
    const answer = await fetch(url, { method, headers: { 'X-Requested-With': 'status-page' } });
    $('error').textContent = answer.ok ? '' : (await answer.json()).error || answer.statusText;
    return answer.status === 200 ? answer.json() : undefined;
  } catch { $('error').textContent = 'The server does not answer.'; }
}
function button(text, what, method, url) {
  const made = make('button', text);
  made.type = 'button';
  made.setAttribute('aria-label', text + ' ' + what);
  made.onclick = async () => { made.disabled = true; await call(method, url); await refresh(); };
  return made;
}
const rows = (id, list) => $(id).replaceChildren(...list);
const row = (...cells) => { const r = make('tr'); for (const c of cells) r.append(c instanceof Node ? c : make('td', c)); return r; };
const before = new Map();
let last = 0;
async function refresh() {
  const now = performance.now(), passed = (now - last) / 1000;
  const [{ points } = {}, { total, sessions } = {}] = await Promise.all([call('GET', 'api/points'), call('GET', 'api/sessions?limit=' + SESSIONS)]);
  if (!points || !sessions) return;
  const seen = new Set();
  rows('points', points.map((p) => {
    seen.add(p.path);
    const rate = before.has(p.path) && passed > 0 ? (p.bytesIn - before.get(p.path)) * 8 / passed : 0;
    before.set(p.path, p.bytesIn);
    const state = p.stopped ? 'stopped' : p.live ? 'live' : 'offline';
    const actions = make('td');
    actions.append(p.stopped ? button('Start', p.path, 'POST', base(p.path) + '/start') : button('Stop', p.path, 'POST', base(p.path) + '/stop'));
    actions.append(p.acceptsPlayers ? button('Deny players', p.path, 'POST', base(p.path) + '/deny') : button('Accept players', p.path, 'POST', base(p.path) + '/open'));
    if (p.publisher) actions.append(button('Disconnect encoder', p.path, 'POST', base(p.path) + '/disconnect'));
    const head = make('th', p.path); head.scope = 'row';
    return row(head, make('td', state, p.live ? 'live' : 'off'), size(Math.max(0, rate), 'bit/s'), String(p.players), p.publisher ? p.publisher.remoteAddress + (p.publisher.user ? ' (' + p.publisher.user + ')' : '') : '', actions);
  }));
  for (const path of before.keys()) if (!seen.has(path)) before.delete(path);
  last = now;
  $('count').textContent = total > sessions.length ? 'The first ' + sessions.length + ' of ' + total + '.' : '';
  rows('sessions', sessions.map((s) => {
    const end = make('td'); end.append(button('End', 'session ' + s.id, 'DELETE', 'api/sessions/' + encodeURIComponent(s.id)));
    return row(s.remoteAddress, s.role, s.path, s.protocol + ' ' + s.transport, make('td', s.client, 'wide'), clock((Date.now() - Date.parse(s.since)) / 1000), size(s.bytes, 'B'), String(s.lost), end);
  }));
}
const history = [];
let sent;
function stats(s) {
  const at = performance.now();
  const rate = sent ? (s.bytesOut - sent.bytes) * 8000 / (at - sent.at) : 0;
  sent = { at, bytes: s.bytesOut };
  const shown = { uptime: clock(s.uptime), players: s.players, publishers: s.publishers, 'points-count': s.points, connections: s.connections, out: size(Math.max(0, rate), 'bit/s'), total: size(s.bytesOut, 'B'), skipped: s.skippedPackets };
  for (const [id, text] of Object.entries(shown)) $(id).textContent = text;
  history.push(s.players);
  if (history.length > SAMPLES) history.shift();
  const most = Math.max(1, ...history);
  $('line').setAttribute('points', history.map((n, i) => (i * 300 / (SAMPLES - 1)).toFixed(1) + ',' + (98 - n * 96 / most).toFixed(1)).join(' '));
  $('most').textContent = 'At most ' + most + ' in the last ' + clock(history.length * 2) + '.';
}
function note(text) {
  const line = make('li', new Date().toLocaleTimeString() + ' ' + text);
  $('log').prepend(line);
  while ($('log').children.length > LINES) $('log').lastChild.remove();
}
const source = new EventSource('api/events');
source.addEventListener('stats', (e) => stats(JSON.parse(e.data)));
source.addEventListener('point', (e) => { const p = JSON.parse(e.data); note(p.point + ' ' + p.what); refresh(); });
source.addEventListener('play', (e) => { const s = JSON.parse(e.data); note(s.remoteAddress + ' plays ' + s.path); });
source.addEventListener('played', (e) => { const s = JSON.parse(e.data); note(s.remoteAddress + ' played ' + s.path + ' for ' + clock(s.milliseconds / 1000)); });
source.addEventListener('warning', (e) => note('Warning: ' + JSON.parse(e.data).message));
source.addEventListener('reload', () => { note('The configuration was read again.'); refresh(); });
source.onerror = () => { $('error').textContent = 'The connection to the server is lost.'; };
source.onopen = () => { $('error').textContent = ''; };
refresh();
setInterval(() => { if (!document.hidden) refresh(); }, 5000);
`;

const figure = (id: string, name: string) => `<div><dt>${name}</dt><dd id="${id}">–</dd></div>`;
const heads = (...names: string[]) => names.map((name) => `<th scope="col">${name}</th>`).join('');

/** The status page: one document, without anything from elsewhere. */
export const STATUS_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>wmcast</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>wmcast</h1>
<p id="error" role="alert"></p>
<dl>
${figure('uptime', 'Running for')}${figure('players', 'Players')}${figure('publishers', 'Encoders')}${figure('points-count', 'Points')}
${figure('connections', 'Connections')}${figure('out', 'Sending')}${figure('total', 'Sent')}${figure('skipped', 'Packets skipped')}
</dl>
<h2 id="over-time">Players over time</h2>
<svg viewBox="0 0 300 100" preserveAspectRatio="none" role="img" aria-labelledby="over-time most"><polyline id="line" points=""/></svg>
<p id="most"></p>
<h2 id="points-title">Publishing points</h2>
<div class="scroll" tabindex="0" role="region" aria-labelledby="points-title">
<table><thead><tr>${heads('Point', 'State', 'Receiving', 'Players', 'Encoder', 'Actions')}</tr></thead><tbody id="points"></tbody></table>
</div>
<h2 id="sessions-title">Sessions</h2>
<p id="count"></p>
<div class="scroll" tabindex="0" role="region" aria-labelledby="sessions-title">
<table><thead><tr>${heads('Address', 'Role', 'Point', 'Protocol', 'Client', 'Time', 'Bytes', 'Skipped', 'Actions')}</tr></thead><tbody id="sessions"></tbody></table>
</div>
<h2 id="log-title">Events</h2>
<ol id="log" tabindex="0" aria-labelledby="log-title"></ol>
<p><a href="api/openapi.json">API</a> · <a href="metrics">Metrics</a> · <a href="api/config">Configuration</a></p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;
