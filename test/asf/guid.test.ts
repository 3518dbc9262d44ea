import { AsfError, GUID, guidFromString, guidName, guidToString, randomGuid } from '../../src/asf/index.js';

describe('GUIDs', () => {
  it('are the 16 bytes of the file, with the first three groups little-endian', () => {
    expect(guidFromString('75B22630-668E-11CF-A6D9-00AA0062CE6C')).toBe('3026b2758e66cf11a6d900aa0062ce6c');
    expect(guidFromString('{75b22630-668e-11cf-a6d9-00aa0062ce6c}')).toBe(GUID.headerObject);
    expect(guidToString('3026b2758e66cf11a6d900aa0062ce6c')).toBe('75B22630-668E-11CF-A6D9-00AA0062CE6C');
  });

  it('have the names of the specification', () => {
    expect(guidName(GUID.dataObject)).toBe('ASF_Data_Object');
    expect(guidName(GUID.none)).toBe('GUID_NULL');
    expect(guidName('f'.repeat(32))).toBeUndefined();
  });

  it('are all different', () => {
    const values = Object.values(GUID);
    expect(new Set(values).size).toBe(values.length);
    for (const value of values) expect(value).toMatch(/^[0-9a-f]{32}$/);
  });

  it('are random with version 4 and the standard variant', () => {
    const text = guidToString(randomGuid());
    expect(text).toMatch(/^[0-9A-F]{8}-[0-9A-F]{4}-4[0-9A-F]{3}-[89AB][0-9A-F]{3}-[0-9A-F]{12}$/);
    expect(randomGuid()).not.toBe(randomGuid());
  });

  it('refuse a text that is not a GUID', () => {
    expect(() => guidFromString('75B22630')).toThrow(AsfError);
    expect(() => guidFromString('75B22630-668E-11CF-A6D9-00AA0062CE6G')).toThrow(AsfError);
  });
});
