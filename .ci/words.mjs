#!/usr/bin/env node
// Lists the words that gave this project's old prose away (docs/style.md), in comments, titles of tests, messages and docs. Each
// file may have as many as .ci/words.json says and no more; `--update` lowers the counts to what is there, never raises them.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';

const WORDS =
  /\b(?:behind|stands|whoever|anew|bears?|borne|tells? of|told of|hands? on|handed on|none is|is none|nobody else|for good|as a whole)\b/gi;
// `behind` a proxy, a TLS terminator or in time is what the field says.
const PROPER =
  /\bbehind (?:a|the|an?other|some|several|many|such|proxies|NAT|nginx|haproxy)\b[^.]{0,20}(?:prox|router|NAT|firewall|balancer|nginx)|(?:falls?|fell|fallen|is|are|was|ms|lag\w*) behind\b/gi;
const ALLOWANCE = '.ci/words.json';

const files = execFileSync('git', ['ls-files', 'src', 'test', 'docs', 'README.md', 'CONTRIBUTING.md', 'SECURITY.md'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /\.(?:ts|md)$/.test(file) && !/^docs\/(?:style|coverage)\.md$/.test(file) && existsSync(file));

/** The prose of a line: all of it in docs, comments and strings in code. */
function proseOf(file, line) {
  if (file.endsWith('.md')) return line;
  const comment = /^\s*(?:\/\*\*?|\*)\s?(.*)$/.exec(line)?.[1] ?? /(?:^|\s)\/\/ (.*)$/.exec(line)?.[1] ?? '';
  const strings = [...line.matchAll(/'([^']*)'|`([^`]*)`/g)].map(([, single, template]) => single ?? template ?? '');
  return [comment, ...strings].join('\n');
}

const found = new Map();
for (const file of files) {
  const hits = readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line, index) =>
      [...proseOf(file, line).replace(PROPER, '').matchAll(WORDS)].map(([word]) => ({
        line: index + 1,
        word,
        text: line.trim(),
      })),
    );
  if (hits.length > 0) found.set(file, hits);
}

const allowed = existsSync(ALLOWANCE) ? JSON.parse(readFileSync(ALLOWANCE, 'utf8')) : {};
const over = [...found].filter(([file, hits]) => hits.length > (allowed[file] ?? 0));
for (const [file, hits] of over) {
  console.error(`${file}: ${hits.length} of these words, ${allowed[file] ?? 0} before (docs/style.md)`);
  for (const { line, word, text } of hits) console.error(`  ${line}: ${word}: ${text.slice(0, 120)}`);
}
const total = [...found.values()].reduce((sum, hits) => sum + hits.length, 0);
if (process.argv.includes('--update')) {
  const counts = [...found]
    .map(([file, hits]) => [file, Math.min(hits.length, allowed[file] ?? (existsSync(ALLOWANCE) ? 0 : hits.length))])
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  writeFileSync(ALLOWANCE, `${JSON.stringify(Object.fromEntries(counts), null, 2)}\n`);
}
if (process.argv.includes('--count')) console.log(`${total} words in ${found.size} files`);
if (over.length > 0) process.exit(1);
