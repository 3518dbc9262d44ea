// The status page of wmcast: figures come by server-sent events, the rest is asked for while somebody looks.
import { addFigures } from './chart.js';
import { $, call, clock, many, say, size, span } from './page.js';
import { setPlace, showPoints } from './points.js';
import { refreshSessionLogs } from './session-logs.js';
import { note, refreshArchives, refreshSessions, setNotes } from './tables.js';

const POINTS_INTERVAL = 4_000;
const ARCHIVES_INTERVAL = 20_000;
const LOGS_INTERVAL = 10_000;

let asking = false;
let again = false;

/** Asks for what changes often; never twice at a time. */
async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    const answer = await call('GET', 'api/points', { quiet: true });
    if (answer) showPoints(answer.points, refresh);
    await refreshSessions();
  } finally {
    asking = false;
  }
  if (!again) return;
  again = false;
  setTimeout(refresh, 500);
}

let last;

function stats(status) {
  const at = performance.now();
  const seconds = last ? (at - last.at) / 1000 : 0;
  const rate = (name) => (seconds > 0 ? Math.max(0, ((status[name] - last[name]) * 8) / seconds) : 0);
  const out = rate('bytesOut');
  const figures = {
    players: status.players.toLocaleString('en'),
    peak: `at most ${status.playersPeak.toLocaleString('en')}`,
    out: size(out, 'bit/s'),
    total: `${size(status.bytesOut, 'B')} sent`,
    in: size(rate('bytesIn'), 'bit/s'),
    received: `${size(status.bytesIn, 'B')} received`,
    publishers: status.publishers,
    connections: many(status.connections, 'connection'),
    skipped: status.skippedPackets.toLocaleString('en'),
    dropped: `${many(status.droppedPlayers, 'player')} dropped`,
  };
  for (const [id, text] of Object.entries(figures)) say($(id), text);
  say($('link'), `Running for ${span(status.uptime)}`);
  $('link').className = 'link up';
  setPlace(status);
  if (seconds > 0) addFigures(status.players, out);
  last = { at, bytesIn: status.bytesIn, bytesOut: status.bytesOut };
}

const WORDS = {
  created: 'was created',
  publishing: 'is on air',
  unpublished: 'has lost its encoder',
  removed: 'was removed',
};

function sentence(kind, data) {
  if (kind === 'point') {
    const from = data.remoteAddress ? ` (${data.remoteAddress})` : '';
    return `${data.point} ${WORDS[data.what] ?? data.what}${from}`;
  }
  if (kind === 'play') return `${data.remoteAddress} plays ${data.path} by ${data.protocol}`;
  if (kind === 'played') {
    return `${data.remoteAddress} played ${data.path} for ${clock(data.milliseconds / 1000)}, ${size(data.bytes, 'B')}`;
  }
  if (kind === 'reload') return 'The configuration was read again.';
  return data.message;
}

const source = new EventSource('api/events');
source.addEventListener('stats', (event) => stats(JSON.parse(event.data)));
for (const kind of ['point', 'play', 'played', 'warning', 'reload']) {
  source.addEventListener(kind, (event) => {
    note(kind, sentence(kind, JSON.parse(event.data)));
    if (kind === 'point' || kind === 'reload') void refresh();
  });
}
source.onopen = async () => {
  say($('error'), '');
  last = undefined;
  const answer = await call('GET', 'api/log?limit=100', { quiet: true });
  if (answer) setNotes(answer.lines.map(({ at, name, data }) => ({ at, kind: name, text: sentence(name, data) })));
  void refresh();
};
source.onerror = () => {
  $('link').className = 'link down';
  say($('link'), 'Not connected');
};

const ifSeen = (work) => () => {
  if (!document.hidden) void work();
};
setInterval(ifSeen(refresh), POINTS_INTERVAL);
setInterval(ifSeen(refreshArchives), ARCHIVES_INTERVAL);
setInterval(ifSeen(refreshSessionLogs), LOGS_INTERVAL);
document.addEventListener('visibilitychange', ifSeen(refresh));
void refreshArchives();
void refreshSessionLogs();
