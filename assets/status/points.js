// The publishing points: a card for each, with a picture while somebody looks.
import { $, button, call, confirmed, copy, keyed, make, many, say, size } from './page.js';

/** Cards that are shown; a search finds the others. */
const MOST = 60;
const PICTURE_INTERVAL = 5_000;

let all = [];
let ports = {};
let host = location.hostname;
let refresh = async () => {};
const before = new Map();
const base = (path) => `api/points/${encodeURIComponent(path.slice(1))}`;
const escaped = (path) => path.split('/').map(encodeURIComponent).join('/');

/** Says where players and encoders find the server. */
export function setPlace(status) {
  ports = status.ports ?? {};
  const isHere = /^(localhost|127\.|\[::1)/.test(location.hostname);
  host = isHere && status.host ? status.host : location.hostname;
  say($('host'), host);
  say($('version'), `wmcast ${status.version}`);
}

function webUrl(path) {
  const { http, https } = ports;
  return http === undefined ? `https://${host}:${https}${escaped(path)}` : `http://${host}:${http}${escaped(path)}`;
}

const isInView = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    target.dataset.seen = isIntersecting ? 'yes' : '';
    if (isIntersecting) void showPicture(target);
  }
});

/** Fetches a picture only while somebody can see it. The last one stays until the next has come. */
async function showPicture(picture) {
  const { path, offered, seen, loading } = picture.dataset;
  if (document.hidden || !offered || !seen || loading) return;
  picture.dataset.loading = 'yes';
  try {
    const answer = await fetch(`${base(path)}/still`);
    if (answer.status !== 200) return;
    const url = URL.createObjectURL(await answer.blob());
    const image = picture.querySelector('img') ?? make('img', [], { alt: '' });
    image.onload = () => URL.revokeObjectURL(url);
    image.onerror = image.onload;
    image.alt = `What is on air at ${path}`;
    image.src = url;
    if (!image.parentNode) picture.prepend(image);
  } catch {
    // The next one may come.
  } finally {
    picture.dataset.loading = '';
  }
}

setInterval(() => {
  for (const picture of document.querySelectorAll('.picture')) void showPicture(picture);
}, PICTURE_INTERVAL);

function stateOf({ stopped, live, publisher }) {
  if (stopped) return ['stopped', 'Stopped'];
  if (publisher?.lost) return ['lost', 'Encoder lost'];
  return live ? ['live', 'On air'] : ['off', 'Off air'];
}

/** Says why a point has no picture. */
function absence({ still, stopped, live, streams }) {
  if (still) return '';
  if (stopped) return 'Stopped by the administrator';
  if (!live) return 'Waiting for an encoder';
  return streams.some(({ type }) => type === 'video') ? 'No picture' : '♪ Sound only';
}

function streamsOf({ streams, bitRate }) {
  const media = streams.map(({ type, codec, width, height }) =>
    type === 'video' && width ? `${codec} ${width}×${height}` : codec,
  );
  return [...(bitRate > 0 ? [size(bitRate, 'bit/s')] : []), ...media].join(' · ');
}

function card({ path }) {
  const picture = make('div', [], { class: 'picture' });
  picture.dataset.path = path;
  const absent = make('span', '');
  const state = make('span', '', { class: 'badge' });
  const players = make('span', '', { class: 'badge' });
  picture.append(absent, make('div', [state, players], { class: 'badges' }));
  const title = make('h3');
  const media = make('p', '', { class: 'soft' });
  const rate = make('p', '', { class: 'soft' });
  const encoder = make('p', '', { class: 'soft' });
  const lists = ['asx', 'm3u', 'pls'].map((ending) => make('a', `.${ending}`, { 'aria-label': `${path}.${ending}` }));
  const post = (action) => async () => {
    await call('POST', `${base(path)}/${action}`);
    await refresh();
  };
  const asked = (question, yes, action) => async () => {
    if (await confirmed(question, yes)) await action();
  };
  const start = button('Start', `Start ${path}`, post('start'));
  const stop = button(
    'Stop',
    `Stop ${path}`,
    asked(`Stop ${path}? Its encoder and its players are disconnected.`, 'Stop', post('stop')),
  );
  const open = button('Accept players', `Accept players of ${path}`, post('open'));
  const deny = button('Deny players', `Deny players of ${path}`, post('deny'));
  const leave = asked(`Disconnect the encoder of ${path}?`, 'Disconnect', post('disconnect'));
  const disconnect = button('Disconnect encoder', `Disconnect encoder of ${path}`, leave);
  const drop = async () => {
    await call('DELETE', base(path));
    await refresh();
  };
  const removal = asked(`Remove ${path}? Its encoder and its players are disconnected.`, 'Remove', drop);
  const remove = button('Remove', `Remove ${path}`, removal);
  const asLink = { class: 'as-link' };
  const play = button('Copy URL', `Copy URL of ${path}`, () => copy(playUrl(path)), asLink);
  const command = () => copy(`wmpush -i INPUT ${webUrl(path)}`);
  const push = button('Copy push command', `Copy push command of ${path}`, command, asLink);
  const links = make('p', [...lists, play, push], { class: 'links' });
  const actions = make('div', [stop, start, deny, open, disconnect, remove], { class: 'actions' });
  const element = make('li', [picture, make('div', [title, media, rate, encoder, links, actions], { class: 'about' })]);
  isInView.observe(picture);
  const update = (point) => {
    const hadFocus = actions.contains(document.activeElement);
    const [name, text] = stateOf(point);
    state.className = `badge ${name}`;
    say(state, text);
    say(players, many(point.players, 'player'));
    say(title, point.title ? `${point.title} (${path})` : path);
    element.className = point.live ? 'on' : 'off';
    say(media, point.live ? streamsOf(point) : '');
    const flow = flowOf(point);
    say(rate, point.live ? `${size(flow.in, 'bit/s')} in · ${size(flow.out, 'bit/s')} out` : '');
    const { publisher } = point;
    const who = publisher && `${publisher.remoteAddress}${publisher.user ? ` (${publisher.user})` : ''}`;
    say(encoder, publisher ? `Encoder ${who}` : point.live ? 'Fed by the server' : '');
    picture.dataset.offered = point.still ? 'yes' : '';
    if (!point.still) picture.querySelector('img')?.remove();
    say(absent, absence(point));
    for (const [index, link] of lists.entries()) link.href = `${webUrl(path)}.${['asx', 'm3u', 'pls'][index]}`;
    start.hidden = !point.stopped;
    stop.hidden = point.stopped;
    open.hidden = point.acceptsPlayers;
    deny.hidden = !point.acceptsPlayers;
    disconnect.hidden = !publisher;
    remove.hidden = point.configured;
    // A button that has done its work leaves the focus to its counterpart.
    if (hadFocus && actions.querySelector('button:focus:not([hidden])') === null) {
      actions.querySelector('button:not([hidden])').focus();
    }
    void showPicture(picture);
  };
  return { element, update, removed: () => isInView.unobserve(picture) };
}

function playUrl(path) {
  const { http, https } = ports;
  return http === undefined ? `https://${host}:${https}${escaped(path)}` : `mms://${host}:${http}${escaped(path)}`;
}

/** Returns the bits per second since the last time. */
function flowOf({ path, bytesIn, bytesOut }) {
  return before.get(path)?.flow ?? { in: 0, out: 0, bytesIn, bytesOut };
}

function measure(points) {
  const now = performance.now();
  const seen = new Set();
  for (const { path, bytesIn, bytesOut } of points) {
    seen.add(path);
    const last = before.get(path);
    const seconds = last ? (now - last.at) / 1000 : 0;
    if (last && seconds < 1) continue;
    const rate = (to, from) => Math.max(0, ((to - from) * 8) / seconds);
    const flow = last ? { in: rate(bytesIn, last.bytesIn), out: rate(bytesOut, last.bytesOut) } : undefined;
    before.set(path, { at: now, bytesIn, bytesOut, flow });
  }
  for (const path of before.keys()) if (!seen.has(path)) before.delete(path);
}

const show = keyed($('points'), ({ path }) => path, card);

function draw() {
  const words = $('find-point').value.toLowerCase().split(/\s+/);
  const found = all.filter(({ path, title }) => words.every((word) => `${path} ${title}`.toLowerCase().includes(word)));
  const first = found.slice(0, MOST);
  show(first);
  const isSearch = $('find-point').value.trim() !== '';
  const none = isSearch ? 'No point fits.' : 'There are no points yet. The first push creates one: wmpush -i FILE URL';
  const more = `The first ${first.length} of ${found.length}; search to find others.`;
  say($('points-note'), found.length === 0 ? none : found.length > first.length ? more : '');
}

$('find-point').addEventListener('input', draw);

/** Shows the points. @param again asks the server for them */
export function showPoints(points, again) {
  refresh = again;
  // Those that are on air come first.
  all = points.toSorted((a, b) => Number(b.live) - Number(a.live) || (a.path < b.path ? -1 : 1));
  measure(points);
  draw();
  const live = points.filter((point) => point.live).length;
  say($('live'), live);
  say($('points-count'), `of ${many(points.length, 'point')}`);
}
