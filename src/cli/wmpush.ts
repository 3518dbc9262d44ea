import { start } from './start.js';

await start(async () => {
  const [{ run }, { pushCommand }] = await Promise.all([import('./program.js'), import('./push.js')]);
  return (argv) => run(pushCommand(), argv);
});
