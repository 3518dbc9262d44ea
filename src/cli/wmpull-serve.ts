import { run } from './program.js';
import { pullServeCommand } from './pull-serve.js';

await run(pullServeCommand());
