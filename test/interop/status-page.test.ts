import type { Page } from 'playwright-core';
import { until } from '../support/until.js';
import { chromiumProgram, closeBrowser, openPage, seriousViolations } from './support/browser.js';
import { Child, stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { newFolder, removeFolders } from './support/content.js';
import { itNeeds } from './support/programs.js';

const SECRET = 'plant3d';
/** Figures in one answer. */
const FIGURES = 2250;

let server: Server;
let root: string;

beforeAll(async () => {
  server = await Server.start('--admin-port', '0', '--log-dir', newFolder());
  const { ports } = (await server.event('ready')) as unknown as { ports: { admin: number } };
  root = `http://127.0.0.1:${ports.admin}/`;
  await server.publish('/live', '--size', '160x120', '--title', 'The <news>', '--password', SECRET);
  await server.publish('/sound', '--no-video');
});

afterAll(async () => {
  await closeBrowser();
  await stopAll();
  removeFolders();
});

const api = async (path: string) => (await fetch(root + path)).json() as Promise<Record<string, unknown>>;

/** Waits until the page shows the points and figures. */
async function ready(page: Page): Promise<Page> {
  await page.getByRole('heading', { name: 'The <news> (/live)' }).waitFor();
  await page.locator('#players:not(:text("–"))').waitFor();
  return page;
}

/** A player that reads the stream until it is ended. */
function play(path: string): Child {
  return new Child('curl', ['--silent', '--max-time', '120', '--output', '/dev/null', server.url(`${path}.asf`)]);
}

describe('the status page', () => {
  itNeeds([chromiumProgram], 'has no serious mistake in accessibility: dark and light, phone and desktop', async () => {
    for (const colorScheme of ['dark', 'light'] as const) {
      for (const viewport of [
        { width: 1280, height: 900 },
        { width: 390, height: 844 },
      ]) {
        const page = await ready(await openPage(root, { colorScheme, viewport }));
        await page.locator('.picture img').waitFor();
        const name = `${colorScheme} ${viewport.width}`;
        expect([name, await seriousViolations(page)]).toEqual([name, []]);
        expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(viewport.width);
        await page.context().close();
      }
    }
  });

  itNeeds(
    [chromiumProgram],
    'shows the figures of the API, and a picture, without anything from elsewhere',
    async () => {
      const player = play('/live');
      const page = await openPage('');
      const requests: string[] = [];
      page.on('request', (request) => requests.push(request.url()));
      page.on('pageerror', (error) => requests.push(`error: ${error.message}`));
      await page.goto(root);
      await ready(page);
      await page.locator('#players:text-is("1")').waitFor();
      await page.locator('#publishers:text-is("2")').waitFor();
      expect(await api('api/status')).toMatchObject({ players: 1, publishers: 2 });
      await page.getByRole('row', { name: /\/live.*curl/ }).waitFor();
      const card = page.locator('li', { has: page.getByRole('heading', { name: '/live' }) });
      await card.getByText('WMV2 160×120').waitFor();
      await card.getByText('1 player', { exact: true }).waitFor();
      await until('a picture', () =>
        page.evaluate<boolean>(`document.querySelector('.picture img')?.naturalWidth === 160`),
      );
      await page.getByText('♪ Sound only').waitFor();
      // The rate is measured from one list of points to the next.
      await until('the rate of the encoder', async () => {
        const [, rate] = /([\d.]+) kbit\/s in/.exec(await card.innerText()) ?? [];
        return Number(rate) > 50 && Number(rate) < 600;
      });
      expect(requests.filter((url) => !url.startsWith(root) && !url.startsWith(`blob:${root}`))).toEqual([]);
      expect(await page.content()).not.toContain(SECRET);
      await player.stop();
      await page.locator('#players:text-is("0")').waitFor();
      await page.context().close();
    },
  );

  itNeeds([chromiumProgram], 'shows the newest lines of the session logs, and their files to download', async () => {
    const page = await ready(await openPage(root));
    expect((await fetch(server.url('/nothing-there.asf'))).status).toBe(404);
    await page.getByRole('row', { name: /127\.0\.0\.1 \/nothing-there\.asf .* 404/ }).waitFor();
    const name = /^WMS_\d{8}\.log$/;
    const href = await page.getByRole('link', { name }).getAttribute('href');
    expect(await (await fetch(root + href)).text()).toContain('/nothing-there.asf');
    expect(await seriousViolations(page)).toEqual([]);
    await page.context().close();
  });

  itNeeds([chromiumProgram], 'is used by keyboard, and keeps the focus while it changes', async () => {
    const page = await ready(await openPage(root));
    const focused = () => page.evaluate(`document.activeElement?.getAttribute('aria-label')`);
    for (let tabs = 0; tabs < 60 && (await focused()) !== 'Stop /sound'; tabs++) await page.keyboard.press('Tab');
    expect(await focused()).toBe('Stop /sound');
    const lists = page.waitForResponse((answer) => answer.url().endsWith('/api/points'));
    await lists;
    await page.waitForResponse((answer) => answer.url().includes('/api/sessions'));
    expect(await focused()).toBe('Stop /sound');
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Escape');
    // The page learns of it with the next task.
    await page.evaluate('new Promise((resolve) => requestAnimationFrame(resolve))');
    expect(await api('api/points/sound')).toMatchObject({ stopped: false });
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor();
    await page.keyboard.press('Tab');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Start /sound' }).waitFor();
    expect(await api('api/points/sound')).toMatchObject({ stopped: true, live: false });
    expect(await focused()).toBe('Start /sound');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Stop /sound' }).waitFor();
    expect(await api('api/points/sound')).toMatchObject({ stopped: false });
    await page.context().close();
  });

  itNeeds([chromiumProgram], 'ends sessions, and shows events as they happen', async () => {
    const page = await ready(await openPage(root));
    const player = play('/live');
    await page.getByText('127.0.0.1 plays /live by HTTP').first().waitFor();
    // The log of the session stays; its row among the sessions does not.
    const row = page.locator('#sessions').getByRole('row', { name: /curl/ });
    await row.getByRole('button', { name: /^End session/ }).click();
    await page.getByRole('button', { name: 'Disconnect', exact: true }).click();
    await player.ends();
    await page.getByText(/127\.0\.0\.1 played \/live for/).waitFor();
    await until('the row to go', async () => (await row.count()) === 0);
    await page.context().close();
  });

  itNeeds(
    [chromiumProgram],
    'does not grow while it is open: figures, events, points and sessions that change',
    async () => {
      const page = await openPage('');
      // Two seconds for each figure, as the server sends them.
      await page.addInitScript('{ let time = Date.now(); Date.now = () => (time += 2000); }');
      const point = (await api('api/points/live')) as object;
      const status = (await api('api/status')) as object;
      let round = 0;
      let lists = 0;
      const event = (name: string, data: object) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
      await page.route('**/api/events', async (route) => {
        round++;
        const figures = Array.from({ length: FIGURES }, (_, index) =>
          event('stats', {
            ...status,
            players: (round * 7 + index) % 500,
            bytesOut: (round * FIGURES + index) * 50_000,
          }),
        );
        const plays = Array.from({ length: 500 }, (_, index) =>
          event('play', { remoteAddress: `192.0.2.${index % 250}`, path: `/live${round}-${index}`, protocol: 'WMSP' }),
        );
        const body = `retry: 20\n\n${figures.join('')}${plays.join('')}${event('point', { point: '/x', what: 'created' })}`;
        await route.fulfill({ contentType: 'text/event-stream', body });
      });
      const list = <T>(make: (index: number) => T) => Array.from({ length: 100 }, (_, index) => make(index));
      await page.route('**/api/points', (route) => {
        lists++;
        const points = list((index) => ({ ...point, path: `/p${lists}-${index}`, still: false }));
        return route.fulfill({ json: { points } });
      });
      await page.route('**/api/sessions?*', (route) => {
        const session = {
          role: 'player',
          protocol: 'WMSP',
          transport: 'tcp',
          path: '/live',
          client: 'VLC',
          user: null,
        };
        const facts = { remoteAddress: '192.0.2.1', since: new Date().toISOString(), bytes: 1, packets: 1, lost: 0 };
        return route.fulfill({
          json: { total: 100, sessions: list((index) => ({ ...session, ...facts, id: `0.${lists}.${index}` })) },
        });
      });
      await page.goto(root);
      const devTools = await page.context().newCDPSession(page);
      const measured = async (rounds: number) => {
        for (let next = Math.min(rounds, 4); next <= rounds; next += 4)
          await until(`${next} rounds`, () => round >= next && lists >= next / 2);
        await until(
          'a full page',
          // 460, unless it is being changed just now.
          async () => (await page.locator('#points li, #sessions tr, #log li').count()) >= 360,
        );
        await devTools.send('HeapProfiler.collectGarbage');
        const { nodes, jsEventListeners } = await devTools.send('Memory.getDOMCounters');
        const { usedSize } = await devTools.send('Runtime.getHeapUsage');
        return { nodes, jsEventListeners, usedSize };
      };
      const early = await measured(4);
      // 45,000 figures are more than a day.
      // What is no longer shown is collected at some time, not with the first collection.
      await until('no more nodes, listeners and memory than before', async () => {
        const late = await measured(20);
        const hasNodes = late.nodes < early.nodes * 1.25 + 500;
        const hasListeners = late.jsEventListeners < early.jsEventListeners * 1.25 + 50;
        return hasNodes && hasListeners && late.usedSize < early.usedSize * 1.25 + 2_000_000;
      });
      await page.context().close();
    },
  );
});
