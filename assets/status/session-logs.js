// The logs of sessions: the newest lines, and the files to download. What is kept is bounded.
import { $, call, keyed, make, say, size } from './page.js';

/** Lines and files that are shown. */
const LINES = 20;
const FILES = 10;

let cursor;
let lines = [];
let count = 0;

const showLines = keyed(
  $('session-lines'),
  ({ key }) => key,
  ({ texts, numbers }) => {
    const cells = texts.map((text, index) => {
      const cell = make(index === 0 ? 'th' : 'td', text);
      if (index === 0) cell.scope = 'row';
      if (index === 3) {
        cell.className = 'long';
        cell.title = text;
      }
      if (numbers.has(index)) cell.className = 'number';
      return cell;
    });
    return { element: make('tr', cells), update: () => {} };
  },
);

const NUMBERS = new Set([4, 5, 6]);

function lineOf(fields, line) {
  const values = line.split(' ');
  const value = (name) => values[fields.indexOf(name)] ?? '-';
  const client = value('cs(User-Agent)') === '-' ? value('c-playerversion') : value('cs(User-Agent)');
  const texts = [
    `${value('date')} ${value('time')}`,
    value('c-ip'),
    value('cs-uri-stem'),
    client.replaceAll('_', ' ').replaceAll('+', ' '),
    value('x-duration'),
    size(Number(value('sc-bytes')) || 0, 'B'),
    value('c-status'),
  ];
  return { key: count++, texts, numbers: NUMBERS };
}

const showFiles = keyed(
  $('session-files'),
  ({ name }) => name,
  ({ name, href }) => {
    const bytes = make('span', '', { class: 'soft' });
    const element = make('li', [make('a', name, { href, download: '' }), ' ', bytes]);
    return { element, update: (file) => say(bytes, size(file.bytes, 'B')) };
  },
);

/** Asks for new lines and for the files, and shows them. */
export async function refreshSessionLogs() {
  const list = await call('GET', `api/session-logs?limit=${FILES}`, { quiet: true });
  if (!list) return;
  $('session-logs-card').hidden = list.total === 0;
  if (list.total === 0) return;
  showFiles(list.files);
  const after = cursor === undefined ? '' : `&after=${encodeURIComponent(cursor)}`;
  const tail = await call('GET', `api/session-logs/tail?limit=${after === '' ? LINES : 1000}${after}`, { quiet: true });
  if (!tail) return;
  cursor = tail.cursor;
  const added = tail.lines.slice(-LINES).map((line) => lineOf(tail.fields, line));
  lines = [...added.reverse(), ...lines].slice(0, LINES);
  showLines(lines);
  const more = list.total > list.files.length ? `, of ${list.total} files the newest ${list.files.length}` : '';
  say($('session-logs-note'), `The newest ${lines.length} lines${more}`);
}
