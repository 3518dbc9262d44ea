import { doctorCommand } from './doctor.js';
import { newProgram, run } from './program.js';
import { serveCommand } from './serve.js';

const program = newProgram('wmcast', 'The Windows Media streaming system: media server and tools.');
for (const command of [serveCommand(), doctorCommand()]) program.addCommand(command.copyInheritedSettings(program));

await run(program);
