// Writes docs/coverage.md: which tests name which requirement. Run it after tests were added: npm run docs:coverage
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PROTOCOLS = {
  WMSP: '[MS-WMSP], pull over HTTP',
  WMHTTP: '[MS-WMHTTP], push over HTTP',
  WMLOG: '[MS-WMLOG], logs',
  MMSP: '[MS-MMSP], MMS over TCP and UDP',
  RTSP: '[MS-RTSP], RTSP',
  MSBD: '[MS-MSBD], distribution to servers',
  MSB: '[MS-MSB], multicast',
};

const HEAD = `# What is shown by which tests

Made from the titles of the tests by \`npm run docs:coverage\`; not to be edited by hand.

A requirement of a specification has an id, its protocol and a number. A test that shows it names the id in its title. Read this page
with three things in mind:

- A test shows what its title says, which can be a part of a requirement. Several tests of one id often show the sides of it: what is
  sent, what is taken, what is refused.
- Tests of the parts drive them without sockets. Tests under \`interop/\` run the real commands, with real players and encoders.
- An id without a row has no test that names it.

## Where the default differs from the specification

Clients tolerate servers that violate the specification, because real ones do. These requirements are kept to the letter only with
\`--strict\` (\`tolerant: false\` in the library), which nobody runs by default; \`test/wmsp/client-default.test.ts\` shows both.

| id | what a server does | by default | with \`--strict\` |
|---|---|---|---|
| WMSP-134 | sends a packet of an unknown type | it is skipped | error |
| WMSP-174 | has no Server header, or another product's | its answers are read all the same | error |
| WMSP-184 | sends $H where $M is due, or $M where $H is | both are taken | error |
| WMSP-186 | sends another header in mid-stream | another entry begins | error |
| WMSP-189 | sends data where it promised $C, or $C that it did not promise | it is played | error |
| WMSP-192 | sends a header or data after $E with Reason 1, without $C | another entry begins, or the last one goes on | error |

What ends a stream is reported by both: error statuses, error results in $E and $C, bytes that are no packet, an end without $E.
`;

/** String literals that begin with ids, or are a template that does. */
const TITLES = /(['"`])((?:\[[A-Z]+-\d{3}\] ?)+)((?:(?!\1)[^\\\n]|\\.)*)\1/g;

function* testFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* testFiles(path);
    else if (entry.name.endsWith('.test.ts')) yield path;
  }
}

/** By id: by file, the titles. */
const tests = new Map();
for (const file of [...testFiles('test')].sort()) {
  for (const [, , ids, rest] of readFileSync(file, 'utf8').matchAll(TITLES)) {
    const title = rest.replace(/\\(.)/g, '$1').trim();
    for (const [, id] of ids.matchAll(/\[([A-Z]+-\d{3})\]/g)) {
      const files = tests.get(id) ?? new Map();
      tests.set(id, files);
      files.set(file, [...(files.get(file) ?? []), ...(title === '' ? [] : [title])]);
    }
  }
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');

function row(id) {
  const files = [...tests.get(id)].map(([file, titles]) => {
    const name = file.replace(/^test\//, '').replace(/\.test\.ts$/, '');
    const said = titles.length === 0 ? 'a table' : [...new Set(titles)].map(cell).join('; ');
    return `[${name}](../${file}): ${said}`;
  });
  return `| ${id} | ${files.join('<br>')} |`;
}

const parts = Object.entries(PROTOCOLS).flatMap(([protocol, name]) => {
  const ids = [...tests.keys()].filter((id) => id.startsWith(`${protocol}-`)).sort();
  if (ids.length === 0) return [];
  return [
    `## ${name}\n\n${ids.length} requirements are named.\n\n| id | tests |\n|---|---|\n${ids.map(row).join('\n')}\n`,
  ];
});
writeFileSync('docs/coverage.md', `${HEAD}\n${parts.join('\n')}`);
