// Sessions, archives and the log.
import { $, button, call, clock, confirmed, keyed, make, say, size } from './page.js';

/** Sessions on a page. */
const PAGE = 100;
/** Lines of the log. */
const LINES = 300;

let after;
let refresh = async () => {};

const cell = (name, className = '') => make(name, '', className ? { class: className } : {});

const showSessions = keyed(
  $('sessions'),
  ({ id }) => id,
  ({ id, role, remoteAddress, path }) => {
    const cells = [
      cell('th'),
      cell('td'),
      cell('td'),
      cell('td', 'long'),
      cell('td', 'number'),
      cell('td', 'number'),
      cell('td', 'number'),
    ];
    cells[0].scope = 'row';
    const name = `session ${id} of ${remoteAddress}`;
    const end = button('End', `End ${name}`, async () => {
      const who = role === 'publisher' ? 'encoder' : 'player';
      if (!(await confirmed(`Disconnect the ${who} at ${remoteAddress} from ${path}?`, 'Disconnect'))) return;
      await call('DELETE', `api/sessions/${encodeURIComponent(id)}`);
      await refresh();
    });
    const update = (session) => {
      const { user, protocol, transport, client, since, bytes, lost } = session;
      const texts = [
        user ? `${remoteAddress} (${user})` : remoteAddress,
        role === 'publisher' ? `${path} (encoder)` : session.path,
        `${protocol} ${transport}`,
        client || '–',
        clock(Math.max(0, (Date.now() - Date.parse(since)) / 1000)),
        size(bytes, 'B'),
        String(lost),
      ];
      for (const [index, text] of texts.entries()) say(cells[index], text);
      cells[3].title = client;
    };
    return { element: make('tr', [...cells, make('td', end)]), update };
  },
);

/** Asks for sessions and shows them. */
export async function refreshSessions() {
  refresh = refreshSessions;
  const kind = $('role').value;
  const from = after === undefined ? '' : `&after=${encodeURIComponent(after)}`;
  const answer = await call('GET', `api/${kind}?limit=${PAGE}${from}`, { quiet: true });
  if (!answer) return;
  const sessions = answer[kind];
  showSessions(sessions);
  say($('sessions-note'), answer.total === 0 ? 'Nobody is connected.' : `${sessions.length} of ${answer.total}`);
  $('first').disabled = after === undefined;
  $('next').disabled = sessions.length < PAGE;
  $('next').dataset.after = sessions.at(-1)?.id ?? '';
}

$('role').addEventListener('change', () => {
  after = undefined;
  void refreshSessions();
});
$('first').addEventListener('click', () => {
  after = undefined;
  void refreshSessions();
});
$('next').addEventListener('click', () => {
  after = $('next').dataset.after;
  void refreshSessions();
});

const showArchives = keyed(
  $('archives'),
  ({ name, point }) => `${point} ${name}`,
  ({ name, point, href }) => {
    const cells = [cell('th'), cell('td'), cell('td'), cell('td', 'number')];
    cells[0].scope = 'row';
    const link = make('a', name, { href, download: '' });
    cells[0].append(link);
    const done = make('td');
    const remove = button('Delete', `Delete ${name}`, async () => {
      if (!(await confirmed(`Delete ${name}?`, 'Delete'))) return;
      await call('DELETE', href);
      await refreshArchives();
    });
    const busy = make('span', 'recording', { class: 'badge live' });
    done.append(remove, busy);
    const update = ({ modified, bytes, recording, removed }) => {
      say(cells[1], removed ? `${point} (removed)` : point);
      say(cells[2], new Date(modified).toLocaleString());
      say(cells[3], size(bytes, 'B'));
      remove.hidden = recording;
      busy.hidden = !recording;
    };
    return { element: make('tr', [...cells, done]), update };
  },
);

/** Asks for the recordings and shows them. */
export async function refreshArchives() {
  const answer = await call('GET', `api/archives?limit=${PAGE}`, { quiet: true });
  if (!answer) return;
  $('archives-card').hidden = answer.total === 0;
  showArchives(answer.archives);
  say($('archives-note'), answer.total > answer.archives.length ? `The newest of ${answer.total}` : '');
}

let lines = [];
let drawing = false;

function draw() {
  drawing = false;
  const kind = $('kinds').value;
  const shown = lines.filter((line) => kind === '' || line.kind === kind);
  const list = $('log');
  list.replaceChildren(
    ...shown.map(({ at, kind: name, text }) => {
      const time = make('time', new Date(at).toLocaleTimeString([], { hourCycle: 'h23' }), { datetime: at });
      return make('li', [time, make('span', text, { class: name })]);
    }),
  );
}

/** Adds a line to the log, the newest first. Thousands in a second are drawn once. */
export function note(kind, text, at = new Date().toISOString()) {
  lines.unshift({ kind, text, at });
  if (lines.length > LINES) lines.length = LINES;
  if (drawing) return;
  drawing = true;
  setTimeout(draw, 200);
}

/** Puts earlier lines into the log. */
export function setNotes(earlier) {
  lines = earlier.slice(0, LINES);
  draw();
}

$('kinds').addEventListener('change', draw);
