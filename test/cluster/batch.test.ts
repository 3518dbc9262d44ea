import fc from 'fast-check';
import { type Batch, decodeMedia, encodeMedia, type Notice } from '../../src/cluster/batch.js';
import { decodeParcel, encodeParcel } from '../../src/cluster/calls.js';
import { Subjects, textOf, tokenOf } from '../../src/cluster/subjects.js';
import { WmError } from '../../src/errors.js';

const place = { generation: fc.nat(0xffffffff), location: fc.nat(Number.MAX_SAFE_INTEGER - 0x10000) };
const packet = fc.uint8Array({ minLength: 1, maxLength: 200 }).map((bytes) => Buffer.from(bytes));
const batch = fc.record<Batch>({
  type: fc.constant('batch'),
  ...place,
  startable: fc.boolean(),
  packets: fc.array(packet, { maxLength: 20 }),
});
const notice = fc.record<Notice>({ type: fc.constantFrom('header', 'end'), ...place });

describe('messages about a point', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.oneof(batch, notice), (message) => expect(decodeMedia(encodeMedia(message))).toEqual(message)),
    );
  });

  it('are refused when they are cut off anywhere, or longer than they say', () => {
    fc.assert(
      fc.property(batch, fc.nat(), (message, at) => {
        const bytes = encodeMedia(message);
        expect(() => decodeMedia(bytes.subarray(0, at % bytes.length))).toThrow(WmError);
        expect(() => decodeMedia(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(WmError);
      }),
    );
  });

  it('never throw anything else, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeMedia(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
    );
  });
});

describe('requests between nodes', () => {
  it('come out as they went in', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.uint8Array(), (text, bytes) => {
        const parcel = decodeParcel(encodeParcel(text, bytes));
        expect(JSON.stringify(parcel.text)).toBe(JSON.stringify(text));
        expect([...parcel.bytes]).toEqual([...bytes]);
      }),
    );
  });

  it('never throw anything but an error of the protocol', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeParcel(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(WmError);
        }
      }),
    );
  });
});

describe('names on the bus', () => {
  it('are one token each, and lead back to the path', () => {
    const path = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 300 }).map((text) => `/${text}`);
    fc.assert(
      fc.property(path, (text) => {
        const token = tokenOf(text);
        if (token === undefined) return;
        expect(token).toMatch(/^[A-Za-z0-9_/=-]+$/);
        expect(textOf(token)).toBe(text);
      }),
    );
  });

  it.each(['a.b', 'a=2e', 'a=2', '', 'x'.repeat(2_000), '=41', '=FF'])('know no path of the token %j', (token) => {
    expect(textOf(token)).toBeUndefined();
  });

  it('have a point, an epoch and a run each in its own place', () => {
    const subject = new Subjects('wmcast').media({ node: 'a.example', run: '0f' }, 12, tokenOf('/live.1/x *')!);
    expect(subject).toBe('wmcast.media.a=2Eexample.0f.12./live=2E1/x=20=2A');
  });
});
