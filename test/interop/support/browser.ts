import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { program, type Requirement } from './programs.js';

/** Debian's Chromium. */
export const chromiumProgram: Requirement = program('chromium');

let launched: Promise<Browser> | undefined;
let axe: Promise<string> | undefined;

/** Opens a page in Chromium, which is started with the first one. */
export async function openPage(url: string, options: BrowserContextOptions = {}): Promise<Page> {
  // Chromium's own sandbox needs rights that containers rarely give.
  launched ??= chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const context = await (await launched).newContext({ viewport: { width: 1280, height: 900 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  if (url !== '') await page.goto(url);
  return page;
}

/** Ends Chromium. */
export async function closeBrowser(): Promise<void> {
  const browser = await launched;
  launched = undefined;
  await browser?.close();
}

/** Returns the violations of accessibility rules that axe-core finds serious or critical. */
export async function seriousViolations(page: Page): Promise<string[]> {
  axe ??= readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(await axe);
  return page.evaluate(async () => {
    const { axe: run } = globalThis as unknown as { readonly axe: { run(): Promise<{ violations: Violation[] }> } };
    interface Violation {
      readonly id: string;
      readonly impact: string;
      readonly nodes: readonly { readonly html: string }[];
    }
    const { violations } = await run.run();
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
}
