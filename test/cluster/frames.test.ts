import fc from 'fast-check';
import { FRAME, FrameReader, frameHead } from '../../src/cluster/frames.js';

const frame = (channel: number, content: Buffer) =>
  Buffer.concat([frameHead(FRAME.packet, channel, content.length), content]);

describe('frames between processes', () => {
  it('come out as they went in, however they are cut', () => {
    const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
    fc.assert(
      fc.property(contents, fc.integer({ min: 1, max: 64 }), (all, step) => {
        const bytes = Buffer.concat(all.map((content, index) => frame(index, Buffer.from(content))));
        const reader = new FrameReader();
        const read = [];
        for (let at = 0; at < bytes.length; at += step) read.push(...reader.feed(bytes.subarray(at, at + step)));
        expect(read.map(({ channel, content }) => [channel, [...content]])).toEqual(
          all.map((content, index) => [index, [...content]]),
        );
      }),
    );
  });

  it('are refused when they are impossibly long', () => {
    expect(() => new FrameReader().feed(frameHead(FRAME.header, 1, 0xffffffff))).toThrow('too long');
  });
});
