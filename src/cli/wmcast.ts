import { start } from './start.js';

await start(async () => (await import('./commands.js')).wmcast);
