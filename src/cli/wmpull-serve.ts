import { start } from './start.js';

await start(async () => {
  const [{ run }, { pullServeCommand }] = await Promise.all([import('./program.js'), import('./pull-serve.js')]);
  return (argv) => run(pullServeCommand(), argv);
});
