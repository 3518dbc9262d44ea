// For child processes of tests: node --import=…/typescript.mjs file.ts runs TypeScript, as the tests do it themselves.
import { register } from 'node:module';

register('./typescript-hooks.mjs', import.meta.url);
