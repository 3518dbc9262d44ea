import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { guidePage } from '../../src/server/web/guide.js';
import { stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';
import { itNeeds, program, type Requirement } from './support/programs.js';

const SCHEMAS = '/usr/share/xml/w3c-sgml-lib/schema/dtd';
const validator: Requirement = {
  name: 'onsgmls and the DTD of HTML 3.2 (Debian: opensp, w3c-sgml-lib)',
  present: () => program('onsgmls').present() && existsSync(`${SCHEMAS}/REC-html32-19970114/HTML32.dtd`),
};

afterAll(async () => {
  await stopAll();
  removeFolders();
});

describe('the guide', () => {
  itNeeds([validator], 'is valid HTML 3.2', async () => {
    const folder = newFolder();
    const catalog = [
      'OVERRIDE YES',
      `SGMLDECL "${SCHEMAS}/ISO-HTML/15445.dcl"`,
      `PUBLIC "-//W3C//DTD HTML 3.2 Final//EN" "${SCHEMAS}/REC-html32-19970114/HTML32.dtd"`,
      `PUBLIC "ISO 8879-1986//ENTITIES Added Latin 1//EN//HTML" "${join(folder, 'none.ent')}"`,
    ];
    await writeFile(join(folder, 'catalog'), catalog.join('\n'));
    await writeFile(join(folder, 'none.ent'), '');
    const complaints = async (page: string) => {
      const file = join(folder, 'guide.html');
      await writeFile(file, page);
      const args = ['-s', '-c', join(folder, 'catalog'), file];
      return (await execa('onsgmls', args, { reject: false, all: true, env: { SP_ENCODING: 'utf-8' } })).all;
    };
    const entries = Array.from({ length: 30 }, (_, index) => ({
      path: `/point ${index}"&<`,
      title: 'Ä title & <more>',
      author: 'Anna',
      description: '',
      live: index % 2 === 0,
      bitRate: 300_000,
      urls: ['rtsp://h/a', 'mms://h/a', 'http://h/a?MSWMExt=.asf'],
    }));
    const pages = [
      guidePage('On h', entries, { search: '', page: 1 }),
      guidePage('On h', entries, { search: 'title', page: 2 }),
      guidePage('On h', [], { search: '"x" & <y>', page: 1 }),
    ];
    for (const page of pages) expect(await complaints(page)).toBe('');
    expect(await complaints(pages[0]!.replace('<H1>', '<H1 STYLE="color: red">'))).toContain('STYLE');
  });

  itNeeds([program('w3m')], 'can be read and followed in w3m', async () => {
    const server = await Server.start();
    await server.publish('/live', '--size', '160x120', '--title', 'The news');
    const { stdout } = await execa('w3m', ['-dump', '-cols', '80', server.url('/')]);
    expect(stdout).toContain('The news');
    expect(stdout).toContain(`mms://127.0.0.1:${server.port}/live`);
    const source = await execa('w3m', ['-dump_source', server.url('/live.asx')]);
    expect(source.stdout).toContain(`mms://127.0.0.1:${server.port}/live`);
  });
});
