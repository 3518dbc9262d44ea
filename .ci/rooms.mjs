// Checks that each room under src/ imports only rooms before it (docs/architecture.md, "Rooms"), and that no files import each other
// in a circle. Imports that are not in order yet are counted in rooms.json, whose numbers may only become smaller.
//
//   node .ci/rooms.mjs            fails for an import too many
//   node .ci/rooms.mjs --strict   also fails when rooms.json allows more than there is
//   node .ci/rooms.mjs --shrink   writes the smaller numbers into rooms.json
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cruise } from 'dependency-cruiser';

/** From the lowest to the highest. Those of one row do not import each other. */
const ROWS = [
  ['errors.ts', 'refusal.ts', 'hresult.ts', 'clock.ts', 'abort.ts', 'yaml-file.ts', 'zod-schema.ts'],
  ['asf'],
  ['media'],
  ['framing'],
  ['http'],
  ['testing'],
  ['auth'],
  ['wmlog'],
  ['announce'],
  ['wms'],
  ['playback'],
  ['receiving'],
  ['capture'],
  ['wmsp', 'wmhttp', 'mmsp', 'rtsp', 'msbd', 'msb'],
  ['sources'],
  ['proxy'],
  ['cluster'],
  ['server'],
  ['judge'],
  ['library', 'cli'],
  ['index.ts'],
];
/** Small files of the lowest row may use each other. */
const LOWEST = new Set(ROWS[0]);

const rowOf = new Map(ROWS.flatMap((rooms, row) => rooms.map((room) => [room, row])));
const roomOf = (path) => /^src\/([^/]+)/.exec(path)?.[1];
const known = new URL('rooms.json', import.meta.url);

/** Rooms in the order of the table in the documentation. */
function documentedRooms() {
  const text = readFileSync(new URL('../docs/architecture.md', import.meta.url), 'utf8');
  const table = /\n\| room \|[^\n]*\n\|[-| ]+\|\n((?:\|[^\n]*\n)+)/.exec(text)?.[1] ?? '';
  const cells = table.split('\n').map((line) => line.split('|')[1] ?? '');
  return cells.flatMap((cell) => [...cell.matchAll(/`([^`]+?)\/?`/g)].map(([, room]) => room));
}

/** Imports against the order, by `room -> room`, and circles as lines. */
async function findProblems() {
  const { output } = await cruise(['src'], {
    parser: 'swc',
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { extensions: ['.ts', '.js'] },
    ruleSet: { forbidden: [{ name: 'circle', severity: 'error', from: {}, to: { circular: true } }] },
  });
  const imports = new Map();
  for (const { source, dependencies } of output.modules) {
    for (const { resolved } of dependencies) {
      const [from, to] = [roomOf(source), roomOf(resolved)];
      if (from === undefined || to === undefined || from === to) continue;
      const isInOrder = rowOf.get(to) < rowOf.get(from) || (LOWEST.has(from) && LOWEST.has(to));
      if (isInOrder) continue;
      const pair = `${from} -> ${to}`;
      imports.set(pair, [...(imports.get(pair) ?? []), `${source} -> ${resolved}`]);
    }
  }
  const circles = output.summary.violations.map(({ cycle }) => cycle.map(({ name }) => name).join(' -> '));
  return { imports, circles: [...new Set(circles)] };
}

const problems = [];
const present = readdirSync('src').filter((name) => name !== 'index.ts');
for (const room of present) {
  if (!rowOf.has(room)) problems.push(`src/${room} has no place in the order of .ci/rooms.mjs.`);
}
const expected = ROWS.flat().filter((room) => present.includes(room));
const documented = documentedRooms();
const inOrder = [...documented].sort((a, b) => (rowOf.get(a) ?? -1) - (rowOf.get(b) ?? -1));
for (const room of expected) {
  if (!documented.includes(room)) problems.push(`docs/architecture.md does not say what lives in ${room}.`);
}
for (const room of documented) {
  if (!present.includes(room)) problems.push(`docs/architecture.md tells of ${room}, which is not under src/.`);
}
if (inOrder.some((room, at) => room !== documented[at])) {
  problems.push(
    `The rooms of docs/architecture.md stand in another order than in .ci/rooms.mjs: ${inOrder.join(', ')}.`,
  );
}

const { imports, circles } = await findProblems();
const allowed = JSON.parse(readFileSync(known, 'utf8'));
for (const [pair, found] of imports) {
  const limit = allowed.imports[pair] ?? 0;
  if (found.length <= limit) continue;
  problems.push(
    `${found.length} imports ${pair} are against the order; ${limit} are known:`,
    ...found.map((each) => `    ${each}`),
  );
}
if (circles.length > allowed.circles) {
  problems.push(`${circles.length} circles; ${allowed.circles} are known:`, ...circles.map((each) => `    ${each}`));
}
for (const line of problems) console.error(line);

const smaller = {
  circles: Math.min(circles.length, allowed.circles),
  imports: Object.fromEntries(
    Object.entries(allowed.imports)
      .map(([pair, limit]) => [pair, Math.min(limit, imports.get(pair)?.length ?? 0)])
      .filter(([, count]) => count > 0),
  ),
};
const canShrink = JSON.stringify(smaller) !== JSON.stringify(allowed);
if (canShrink && process.argv.includes('--shrink')) writeFileSync(known, `${JSON.stringify(smaller, null, 2)}\n`);
else if (canShrink && process.argv.includes('--strict')) {
  problems.push('');
  console.error('.ci/rooms.json allows more than there is; run node .ci/rooms.mjs --shrink.');
}
process.exitCode = problems.length > 0 ? 1 : 0;
