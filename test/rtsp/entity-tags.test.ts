import { matchesTag, readEntityTags } from '../../src/rtsp/messages/entity-tags.js';

describe('entity tags', () => {
  it.each([
    ['*', '*'],
    [' "a" ', ['a']],
    ['"a", W/"b" ,"{c,d}"', ['a', 'b', '{c,d}']],
    ['""', ['']],
  ])('[RTSP-068] %s are read', (value, tags) => {
    expect(readEntityTags(value)).toEqual(tags);
  });

  it.each(['', 'a', '"a', '"a" "b"', '"a",', '*, "a"', Array(33).fill('"a"').join(','), `"${'a'.repeat(300)}"`])(
    '%s are none',
    (value) => {
      expect(readEntityTags(value)).toBeUndefined();
    },
  );

  it('match a tag with or without quotes, and nothing that has none', () => {
    expect(matchesTag(['a'], '"a"')).toBe(true);
    expect(matchesTag(['{a}'], '{a}')).toBe(true);
    expect(matchesTag('*', '"a"')).toBe(true);
    expect(matchesTag('*', undefined)).toBe(false);
  });
});
