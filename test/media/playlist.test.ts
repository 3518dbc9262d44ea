import fc from 'fast-check';
import { WmError } from '../../src/errors.js';
import {
  alternativesOf,
  MAX_PLAYLIST_ENTRIES,
  Playlist,
  type PlaylistCursor,
  type PlaylistMedia,
  type PlaylistNode,
} from '../../src/media/playlist.js';

const media = (name: string, more: Partial<PlaylistMedia> = {}): PlaylistMedia => ({
  kind: 'media',
  sources: [name],
  noSkip: false,
  clientData: new Map(),
  ...more,
});
const seq = (repeat: number, ...items: PlaylistNode[]): PlaylistNode => ({ kind: 'seq', items, repeat });
const choice = (...alternatives: PlaylistNode[]): PlaylistNode => ({ kind: 'switch', alternatives });
const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => media(name)) as [
  PlaylistMedia,
  PlaylistMedia,
  PlaylistMedia,
  PlaylistMedia,
];

/** The sources from the current entry on. */
function course(cursor: PlaylistCursor, limit = 50): string[] {
  const names: string[] = [];
  for (let entry = cursor.current; entry && names.length < limit; entry = cursor.next()) names.push(entry.sources[0]!);
  return names;
}

describe('the course of a playlist', () => {
  it('plays entries and nested sequences in order, repeated', () => {
    const playlist = new Playlist([a, seq(2, b, seq(2, c)), d]);
    expect(course(playlist.cursor()).join('')).toBe('abccbccd');
    expect(playlist.loop).toBe(false);
    expect(playlist.entryCount).toBe(4);
    expect([...playlist.media()].map(({ sources }) => sources[0])).toEqual(['a', 'b', 'c', 'd']);
  });

  it('never ends if a part of it repeats for ever', () => {
    const whole = new Playlist([a, b], { repeat: Number.POSITIVE_INFINITY });
    const part = new Playlist([a, seq(Number.POSITIVE_INFINITY, seq(2, b), c), d]);
    expect([whole.loop, part.loop]).toEqual([true, true]);
    expect(course(whole.cursor(), 5).join('')).toBe('ababa');
    expect(course(part.cursor(), 8).join('')).toBe('abbcbbcb');
  });

  it('is over at once if endless loops hold nothing', () => {
    const playlist = new Playlist([seq(Number.POSITIVE_INFINITY, seq(5), choice())], {
      repeat: Number.POSITIVE_INFINITY,
    });
    const cursor = playlist.cursor();
    expect(playlist.loop).toBe(false);
    expect([cursor.current, cursor.next(), cursor.previous(), cursor.fail(), cursor.skip(1), cursor.seek(1)]).toEqual(
      Array(6).fill(undefined),
    );
    expect([cursor.peek(1), cursor.peek(-1), cursor.canSkip(1)]).toEqual([undefined, undefined, false]);
  });

  it('skips empty parts between entries', () => {
    expect(course(new Playlist([seq(3), a, seq(Number.POSITIVE_INFINITY), choice(), b, seq(2)]).cursor())).toEqual([
      'a',
      'b',
    ]);
  });

  it('takes the title, the author and the copyright from the client data', () => {
    const clientData = new Map([
      ['title', 'T'],
      ['author', 'A'],
      ['copyright', 'C'],
    ]);
    expect(new Playlist([media('x', { clientData })]).cursor().current).toMatchObject({
      id: 1,
      title: 'T',
      author: 'A',
      copyright: 'C',
    });
    expect(new Playlist([a]).cursor().current).not.toHaveProperty('title');
  });

  it('goes back through loops, up to the first entry', () => {
    const cursor = new Playlist([a, seq(2, b, c)]).cursor();
    course(cursor);
    expect(cursor.current).toBeUndefined();
    expect(cursor.peek(-1)?.sources).toEqual(['c']);
    const names: string[] = [];
    for (let entry = cursor.previous(); entry; entry = cursor.previous()) names.push(entry.sources[0]!);
    expect(names.join('')).toBe('cbcba');
    expect(cursor.current?.sources).toEqual(['a']);
  });

  it('shows neighbours without moving', () => {
    const cursor = new Playlist([a, b]).cursor();
    expect([cursor.peek(-1), cursor.peek(1)?.sources[0], cursor.current?.sources[0]]).toEqual([undefined, 'b', 'a']);
    cursor.next();
    expect([cursor.peek(-1)?.sources[0], cursor.peek(1)]).toEqual(['a', undefined]);
  });
});

describe('identifiers of entries', () => {
  it('differ for every entry of the course, in every round', () => {
    const cursor = new Playlist([a, seq(3, b, choice(c, d))], { repeat: Number.POSITIVE_INFINITY }).cursor();
    const ids = new Set<number>();
    for (let count = 0; count < 500; count++, cursor.next()) ids.add(cursor.current!.id);
    expect(ids.size).toBe(500);
    expect(Math.min(...ids)).toBe(1);
  });

  it('are the same for every cursor', () => {
    const playlist = new Playlist([a, seq(2, b, c)]);
    const [one, other] = [playlist.cursor(), playlist.cursor()];
    one.next();
    one.next();
    expect(other.seek(one.current!.id)).toEqual(one.current);
  });

  it('find the entry again', () => {
    const cursor = new Playlist([a, b, c], { repeat: Number.POSITIVE_INFINITY }).cursor();
    const second = cursor.next()!;
    for (let count = 0; count < 20; count++) cursor.next();
    expect(cursor.seek(second.id)).toEqual(second);
  });

  it.each([0, -1, 1.5, Number.NaN, 0x1_0000_0000, 4])('are not found if no entry has %d', (id) => {
    const cursor = new Playlist([a, b, c]).cursor();
    expect(cursor.seek(id)).toBeUndefined();
    expect(cursor.current?.id).toBe(1);
  });

  it('stay between 1 and 4294967295 in a playlist that never ends', () => {
    const cursor = new Playlist([seq(1_000_000, seq(4_294, a)), seq(967_294, a), b], {
      repeat: Number.POSITIVE_INFINITY,
    }).cursor();
    expect(cursor.seek(0xffff_ffff)).toMatchObject({ id: 0xffff_ffff, sources: ['b'] });
    expect(cursor.next()).toMatchObject({ id: 1, sources: ['a'] });
    expect(cursor.seek(0xffff_ffff)).toMatchObject({ id: 0xffff_ffff, sources: ['b'] });
    expect(cursor.skip(1)).toMatchObject({ id: 1, sources: ['a'] });
  });
});

describe('alternatives', () => {
  it('become one entry with several sources if they are presented alike', () => {
    const late = media('c', { begin: 5 });
    expect(alternativesOf([a, b])).toEqual(media('a', { sources: ['a', 'b'] }));
    expect(alternativesOf([a, b, late, d])).toEqual(choice(media('a', { sources: ['a', 'b'] }), late, d));
    const titled = media('x', { clientData: new Map([['title', 'X']]) });
    expect(alternativesOf([titled, media('y', { clientData: new Map([['title', 'Y']]) })])).toMatchObject({
      kind: 'switch',
    });
  });

  it('are left after the one that was played', () => {
    expect(course(new Playlist([choice(a, b), c]).cursor())).toEqual(['a', 'c']);
    expect(course(new Playlist([choice(seq(2, a, b), c), d]).cursor()).join('')).toBe('ababd');
  });

  it('are tried one after another while they fail', () => {
    const cursor = new Playlist([choice(seq(2, a, b), choice(c, d)), a]).cursor();
    expect(cursor.current?.sources).toEqual(['a']);
    expect(cursor.fail()?.sources).toEqual(['c']);
    expect(cursor.fail()?.sources).toEqual(['d']);
    expect(course(cursor).join('')).toBe('da');
  });

  it('are not tried any more once one has begun', () => {
    const cursor = new Playlist([choice(seq(1, a, b), c), d]).cursor();
    cursor.next();
    expect(cursor.fail()?.sources).toEqual(['d']);
  });

  it('are entered in reverse at the end of the first one', () => {
    const cursor = new Playlist([choice(seq(1, a, choice(b, c)), d), a]).cursor();
    course(cursor);
    cursor.previous();
    expect(cursor.previous()?.sources).toEqual(['b']);
    expect(cursor.previous()?.sources).toEqual(['a']);
    expect(cursor.previous()).toBeUndefined();
  });

  it('are left in reverse from whichever is played', () => {
    const cursor = new Playlist([a, choice(b, seq(1, c, d))]).cursor();
    cursor.next();
    cursor.fail();
    expect(cursor.next()?.sources).toEqual(['d']);
    expect(cursor.previous()?.sources).toEqual(['c']);
    expect(cursor.previous()?.sources).toEqual(['a']);
  });

  it('may only be endless at the end of a switch', () => {
    const endless = seq(Number.POSITIVE_INFINITY, media('a', { place: 'x.wsx:4:5' }));
    expect(course(new Playlist([choice(b, endless)]).cursor())).toEqual(['b']);
    expect(() => new Playlist([choice(endless, b)])).toThrow(/^x\.wsx:4:5: Only the last alternative/);
  });
});

describe('entries that cannot be played', () => {
  it('end an endless playlist if all of them fail in a row', () => {
    const cursor = new Playlist([a, b, c], { repeat: Number.POSITIVE_INFINITY }).cursor();
    cursor.next();
    expect([cursor.fail()?.sources[0], cursor.fail()?.sources[0], cursor.fail()]).toEqual(['c', 'a', undefined]);
    expect(cursor.fail()).toBeUndefined();
  });

  it('do not end it if some can be played', () => {
    const cursor = new Playlist([a, b], { repeat: Number.POSITIVE_INFINITY }).cursor();
    for (let round = 0; round < 10; round++) {
      expect(cursor.fail()?.sources).toEqual(['b']);
      expect(cursor.next()?.sources).toEqual(['a']);
    }
  });
});

describe('the requests of players', () => {
  it('moves by one entry relative to playlist-seek-id', () => {
    const cursor = new Playlist([a, b, c, d]).cursor();
    expect(cursor.skip(1)?.sources).toEqual(['b']);
    expect(cursor.skip(1, 3)?.sources).toEqual(['d']);
    expect(cursor.skip(-1, 2)?.sources).toEqual(['a']);
    expect(cursor.skip(0, 3)?.sources).toEqual(['c']);
    expect(cursor.skip(0)?.sources).toEqual(['c']);
  });

  it('finds nothing before the first entry and after the last one, and stays', () => {
    const cursor = new Playlist([a, b]).cursor();
    expect([cursor.skip(-1), cursor.canSkip(-1), cursor.canSkip(1)]).toEqual([undefined, false, true]);
    cursor.next();
    expect([cursor.skip(1), cursor.canSkip(1), cursor.canSkip(-1)]).toEqual([undefined, false, true]);
    expect(cursor.current?.sources).toEqual(['b']);
  });

  it('cannot get past an entry with noSkip', () => {
    const advert = media('advert', { noSkip: true });
    const cursor = new Playlist([a, advert, b, c]).cursor();
    expect(cursor.seek(3)).toBeUndefined();
    expect(cursor.skip(1)?.sources).toEqual(['advert']);
    expect([cursor.canSkip(1), cursor.skip(1), cursor.skip(1, 2), cursor.seek(4)]).toEqual([
      false,
      undefined,
      undefined,
      undefined,
    ]);
    // Nor by going back and then past it.
    expect(cursor.skip(-1)?.sources).toEqual(['a']);
    expect([cursor.skip(1, 2), cursor.seek(3)]).toEqual([undefined, undefined]);
    expect(cursor.skip(1)?.sources).toEqual(['advert']);
    expect(cursor.next()?.sources).toEqual(['b']);
    expect(cursor.skip(1)?.sources).toEqual(['c']);
    expect(cursor.seek(1)?.sources).toEqual(['a']);
    expect(cursor.seek(4)?.sources).toEqual(['c']);
  });
});

describe('bounds', () => {
  it('refuses too many entries, too many repetitions and too much nesting', () => {
    const many = Array.from({ length: MAX_PLAYLIST_ENTRIES + 1 }, () => a);
    let deep: PlaylistNode = a;
    for (let depth = 0; depth < 600; depth++) deep = seq(1, deep);
    for (const items of [many, [seq(1e6, seq(1e6, a))], [deep]]) {
      expect(() => new Playlist(items)).toThrow(WmError);
    }
    expect(new Playlist(many.slice(1)).entryCount).toBe(MAX_PLAYLIST_ENTRIES);
  });
});

const tree = fc.letrec<{ node: PlaylistNode }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(a, b, c, d),
    fc
      .record({ items: fc.array(tie('node'), { maxLength: 4 }), repeat: fc.integer({ min: 1, max: 3 }) })
      .map(({ items, repeat }) => seq(repeat, ...items)),
    fc.array(tie('node'), { maxLength: 3 }).map((items) => choice(...items)),
  ),
})).node;

/** The course by definition: unrolled, always with the first alternative that holds anything. */
function unroll(node: PlaylistNode): string[] {
  if (node.kind === 'media') return [...node.sources];
  if (node.kind === 'switch') return node.alternatives.map(unroll).find((names) => names.length > 0) ?? [];
  const round = node.items.flatMap(unroll);
  return Array.from({ length: node.repeat }, () => round).flat();
}

describe('any playlist', () => {
  it('has the course of its unrolled form, forwards and backwards', () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 4 }), (items) => {
        const expected = items.flatMap(unroll);
        const cursor = new Playlist(items).cursor();
        expect(course(cursor, 1e5)).toEqual(expected);
        const back: string[] = [];
        for (let entry = cursor.previous(); entry; entry = cursor.previous()) back.push(entry.sources[0]!);
        expect(back).toEqual(expected.reverse());
      }),
      { numRuns: 200 },
    );
  });

  it('comes to an end if nothing can be played', () => {
    fc.assert(
      fc.property(fc.array(tree, { maxLength: 4 }), (items) => {
        const playlist = new Playlist(items, { repeat: Number.POSITIVE_INFINITY });
        const cursor = playlist.cursor();
        let failures = 0;
        while (cursor.current) {
          cursor.fail();
          failures++;
        }
        expect(failures).toBe(playlist.entryCount);
      }),
      { numRuns: 100 },
    );
  });
});
