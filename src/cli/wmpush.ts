import { run } from './program.js';
import { pushCommand } from './push.js';

await run(pushCommand());
