import { buildHeader, type HeaderObject } from '../../src/asf/header.js';
import { protectionOf } from '../../src/wms/protection.js';
import { testHeader } from '../support/stream.js';

function withObjects(...objects: HeaderObject[]) {
  const header = testHeader();
  return buildHeader([...header.objects, ...objects], header.dataObject);
}

const wrm = (xml: string) => Buffer.from(`\ufeff${xml}`, 'utf16le');

describe('the protection of a header', () => {
  it('is undefined without one', () => {
    expect(protectionOf(testHeader())).toBeUndefined();
  });

  it('names licence URLs and keys of both kinds of object, each once', () => {
    const header = withObjects(
      {
        type: 'contentEncryption',
        secretData: Buffer.from([1, 2]),
        protectionType: 'DRM',
        keyId: 'key-1',
        licenseUrl: 'http://licence.example/1',
      },
      {
        type: 'extendedContentEncryption',
        data: wrm(
          '<WRMHEADER version="2.0.0.0"><DATA><KID>key-1</KID><LAINFO>http://licence.example/2?a=1&amp;b=2</LAINFO></DATA></WRMHEADER>',
        ),
      },
      { type: 'digitalSignature', signatureType: 2, data: Buffer.alloc(16) },
    );
    expect(protectionOf(header)).toEqual({
      systems: ['DRM', 'extended'],
      licenseUrls: ['http://licence.example/1', 'http://licence.example/2?a=1&b=2'],
      keyIds: ['key-1'],
      signed: true,
    });
  });

  it.each([
    ['an element without its end', wrm('<LAINFO>http://x')],
    ['an odd number of bytes', wrm('<LAINFO>http://x').subarray(0, 9)],
    ['nothing', Buffer.alloc(0)],
    ['one byte', Buffer.alloc(1)],
    ['a thousand elements that open', wrm('<LAINFO>'.repeat(1_000))],
  ])('survives %s', (_, data) => {
    expect(protectionOf(withObjects({ type: 'extendedContentEncryption', data }))).toMatchObject({
      systems: ['extended'],
      licenseUrls: [],
    });
  });

  it('reads XML that is not UTF-16, and at most 20 URLs', () => {
    const xml = Array.from({ length: 50 }, (_, index) => `<LA_URL>http://x/${index}</LA_URL>`).join('');
    const found = protectionOf(withObjects({ type: 'extendedContentEncryption', data: Buffer.from(xml) }));
    expect(found?.licenseUrls).toHaveLength(20);
    expect(found?.licenseUrls[0]).toBe('http://x/0');
  });
});
