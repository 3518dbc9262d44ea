import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { wholeProgram } from '../../src/cli/commands.js';
import { completionScript } from '../../src/cli/completion.js';
import { helpOf } from '../../src/cli/help-model.js';
import { manualPages } from '../../src/cli/manual.js';
import { newFolder, removeFolders } from './support/content.js';
import { itNeeds, program } from './support/programs.js';

afterAll(removeFolders);

const script = async (shell: 'bash' | 'zsh' | 'fish') => {
  const file = join(newFolder(), `wmcast.${shell}`);
  await writeFile(file, completionScript(shell, helpOf(await wholeProgram())));
  return file;
};

describe('completion', () => {
  itNeeds([program('bash')], 'works in bash', async () => {
    const complete = `COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _wmcast; echo "\${COMPREPLY[@]}"`;
    const file = await script('bash');
    const offered = async (...words: string[]) =>
      (await execa('bash', ['-c', `source ${file}; ${complete}`, 'bash', ...words])).stdout.split(' ');
    expect(await offered('wmcast', 'ser')).toEqual(['serve']);
    expect(await offered('wmcast', 'serve', '--http')).toEqual(['--http-port', '--https-port']);
    expect(await offered('wmcast', 'serve', '--log-format', '')).toEqual(['text', 'json']);
    expect(await offered('wmcast', 'users', 'ad')).toEqual(['add']);
    expect(await offered('wmcast', 'users', 'add', 'x', '--gr')).toEqual(['--group']);
  });

  itNeeds([program('fish')], 'works in fish', async () => {
    const file = await script('fish');
    const offered = async (line: string) =>
      (await execa('fish', ['-c', `source ${file}; complete -C "${line}"`])).stdout
        .split('\n')
        .map((each) => each.split('\t')[0]);
    expect(await offered('wmcast ser')).toEqual(['serve']);
    expect((await offered('wmcast serve --log-format ')).sort()).toEqual(['json', 'text']);
    expect(await offered('wmcast users pas')).toEqual(['passwd']);
    expect(await offered('wmpush --packet')).toEqual(['--packet-size']);
  });

  itNeeds([program('zsh')], 'is a script that zsh can read', async () => {
    const { exitCode } = await execa('zsh', ['-n', await script('zsh')], { reject: false });
    expect(exitCode).toBe(0);
  });
});

describe('the manual', () => {
  itNeeds([program('mandoc')], 'has pages without anything that mandoc objects to', async () => {
    const folder = newFolder();
    const pages = manualPages(helpOf(await wholeProgram()), 'January 1, 2020');
    for (const { file, text } of pages) await writeFile(join(folder, file), text);
    const files = pages.map(({ file }) => join(folder, file));
    const { stdout } = await execa('mandoc', ['-Tlint', ...files], { reject: false });
    // Pages that are not installed cannot be found.
    expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('referenced manual not found'))).toEqual(
      [],
    );
  });
});
