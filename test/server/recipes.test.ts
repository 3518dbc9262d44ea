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
    const players = (await readdir(new URL('../../docs/players/', import.meta.url))).map((name) => `players/${name}`);
    expect(players.length).toBeGreaterThanOrEqual(12);
    const index = await readFile(new URL('../../docs/players.md', import.meta.url), 'utf8');
    expect(players.filter((page) => !index.includes(`](${page})`))).toEqual([]);
    for (const page of ['recipes.md', 'players.md', 'ports.md', 'migration.md', ...players]) {
      const base = new URL(`../../docs/${page}`, import.meta.url);
      for (const [, link] of (await readFile(base, 'utf8')).matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
        const place = new URL(link!, base);
        expect((await stat(place)).isDirectory() ? (await readdir(place)).length : 1).toBeGreaterThan(0);
      }
    }
  });
});
