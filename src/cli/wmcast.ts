import { announceCommand } from './announce.js';
import { doctorCommand } from './doctor.js';
import { probeCommand } from './probe.js';
import { addCommand, newProgram, run } from './program.js';
import { pullCommand } from './pull.js';
import { relayCommand } from './relay.js';
import { serveCommand } from './serve.js';
import { usersCommand } from './users.js';

const program = newProgram('wmcast', 'The Windows Media streaming system: media server and tools.');
for (const command of [
  serveCommand(),
  pullCommand(),
  relayCommand(),
  probeCommand(),
  announceCommand(),
  usersCommand(),
  doctorCommand(),
]) {
  addCommand(program, command);
}

await run(program);
