// Writes the manual pages into man/. Run it after the help of a command was changed: npm run docs:manual
import { mkdirSync, writeFileSync } from 'node:fs';
import { wholeProgram } from '../dist/cli/commands.js';
import { helpOf } from '../dist/cli/help-model.js';
import { manualPages } from '../dist/cli/manual.js';

mkdirSync('man', { recursive: true });
const pages = manualPages(helpOf(await wholeProgram()), 'November 30, 2026');
for (const { file, text } of pages) writeFileSync(`man/${file}`, text);
