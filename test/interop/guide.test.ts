import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { jest } from '@jest/globals';
import { execa } from 'execa';
import { listenTcp } from '../../src/http/listen.js';
import { guidePage } from '../../src/server/web/guide.js';
import { until } from '../support/until.js';
import { chromiumProgram, closeBrowser, openPage, seriousViolations } from './support/browser.js';
import { Child, stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';
import { itNeeds, program, type Requirement } from './support/programs.js';

const SCHEMAS = '/usr/share/xml/w3c-sgml-lib/schema/dtd';
const validator: Requirement = {
  name: 'onsgmls and the DTD of HTML 3.2 (Debian: opensp, w3c-sgml-lib)',
  present: () => program('onsgmls').present() && existsSync(`${SCHEMAS}/REC-html32-19970114/HTML32.dtd`),
};

afterAll(async () => {
  await closeBrowser();
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
      still: index % 3 === 0,
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

  describe('with a live point', () => {
    let server: Server;

    beforeAll(async () => {
      server = await Server.start();
      await server.publish('/live', '--size', '160x120', '--title', 'The news');
    });

    itNeeds([program('w3m'), program('links')], 'can be read and followed in w3m and links', async () => {
      for (const [name, ...args] of [['w3m', '-dump', '-cols', '80'], ['links', '-dump', '-width', '80'] as const]) {
        const { stdout } = await execa(name!, [...args, server.url('/')]);
        expect(stdout).toContain('The news');
        expect(stdout).toContain(`mms://127.0.0.1:${server.port}/live`);
      }
      const source = await execa('w3m', ['-dump_source', server.url('/live.asx')]);
      expect(source.stdout).toContain(`mms://127.0.0.1:${server.port}/live`);
    });

    itNeeds([chromiumProgram], 'shows a picture of what is on air in Chromium, and fits 640 pixels', async () => {
      const page = await openPage(server.url('/'), { viewport: { width: 640, height: 480 } });
      await until('the picture', () =>
        page.evaluate<boolean>(`document.images[0]?.complete && document.images[0].naturalWidth === 160`),
      );
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(640);
      // HTML 3.2 knows neither the language of a page nor labels.
      expect(await seriousViolations(page)).toEqual([
        expect.stringMatching(/^html-has-lang/),
        expect.stringMatching(/^label: <input type="TEXT" name="q"/),
      ]);
      await page.context().close();
    });

    itNeeds([program('dillo'), program('Xvfb')], 'is shown with its picture by Dillo', async () => {
      const fetched = jest.fn<(path: string, agent: string) => void>();
      const proxied = createServer(async ({ url = '', headers }, answer) => {
        fetched(url, headers['user-agent'] ?? '');
        const { status, headers: fields, body } = await fetch(server.url(url), { headers: { Accept: 'text/html' } });
        answer.writeHead(status, { 'Content-Type': fields.get('Content-Type') ?? '' });
        answer.end(Buffer.from(await new Response(body).arrayBuffer()));
      });
      const port = await listenTcp(proxied, { port: 0, host: '127.0.0.1' });
      const screen = new Child('Xvfb', ['-displayfd', '1', '-screen', '0', '800x600x24', '-nolisten', 'tcp']);
      try {
        const number = await screen.until('its number', () => screen.output[0]);
        const environment = { DISPLAY: `:${number}`, HOME: newFolder() };
        const dillo = new Child('dillo', [`http://127.0.0.1:${port}/`], { environment });
        await until('the picture to be fetched', () => fetched.mock.calls.some(([path]) => path === '/live.jpg'));
        expect(fetched.mock.calls[0]).toEqual(['/', expect.stringMatching(/dillo/i)]);
        await dillo.stop();
      } finally {
        await screen.stop();
        proxied.closeAllConnections();
        proxied.close();
      }
    });
  });
});
