import { readdir, readFile, stat } from 'node:fs/promises';
import { parseConfig } from '../../src/server/config-file.js';

/** Returns the configurations of a page. */
async function configurations(page: string): Promise<string[]> {
  const text = await readFile(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  return [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, body]) => body!);
}

describe('the recipes', () => {
  it('are configurations without mistakes', async () => {
    const all = await configurations('recipes.md');
    expect(all.length).toBeGreaterThanOrEqual(4);
    for (const text of all) expect(parseConfig(text, 'recipe.yaml')).toBeDefined();
  });

  it('name pages and samples that exist', async () => {
    for (const page of ['recipes.md', 'players.md', 'ports.md', 'migration.md']) {
      const base = new URL(`../../docs/${page}`, import.meta.url);
      for (const [, link] of (await readFile(base, 'utf8')).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
        const place = new URL(link!, base);
        expect((await stat(place)).isDirectory() ? (await readdir(place)).length : 1).toBeGreaterThan(0);
      }
    }
  });
});
