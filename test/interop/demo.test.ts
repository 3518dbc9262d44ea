import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readBack } from '../cli/run.js';
import { Child } from './support/child.js';
import { newPoint, Server } from './support/commands.js';
import { newFolder } from './support/content.js';
import { itNeeds, program } from './support/programs.js';

const PYTHON = program('python3');
const TERMINAL = fileURLToPath(new URL('support/terminal.py', import.meta.url));
const bin = (name: string) => fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url));

/** A command on a terminal, where `keys` are typed when it has shown `text`. */
function onTerminal(text: string, keys: '^C' | 'hang-up', name: string, ...args: string[]): Child {
  return new Child('python3', [TERMINAL, text, keys, process.execPath, bin(name), ...args]);
}

describe('commands on a terminal', () => {
  itNeeds([PYTHON], 'Ctrl-C ends the demo while its spinner turns: 130', async () => {
    const demo = onTerminal('Capturing', '^C', 'demo');
    const exit = await demo.ends();
    expect({ ...exit, output: demo.output }).toMatchObject({ code: 130 });
    expect(demo.output.join('\n')).not.toMatch(/Error/);
  });

  itNeeds([PYTHON], 'a terminal that goes away ends a push: 129, with its archive finished', async () => {
    const server = await Server.start();
    const archive = join(newFolder(), 'kept.asf');
    const url = server.url(newPoint());
    // In the status line; the sentence about the encoding has packets and bits, too.
    const push = onTerminal('bit/s  ', 'hang-up', 'wmpush', '--archive', archive, url);
    expect({ ...(await push.ends()), output: push.output }).toMatchObject({ code: 129 });
    // An unfinished file would still look like a live stream.
    expect(await readBack(archive)).toMatchObject({ live: false, warnings: [] });
    await server.stop();
  });
});
