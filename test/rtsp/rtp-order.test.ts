import { type Ordered, RtpOrder } from '../../src/rtsp/client/rtp-order.js';

/** Numbers of packets in the order of delivery; lost ones as `-count`. */
const numbers = (ordered: ReadonlyArray<Ordered<number>>) =>
  ordered.map((each) => ('lost' in each ? -each.lost : each.packet));

let order: RtpOrder<number>;
const push = (sequence: number, now = 0) => numbers(order.push(sequence & 0xffff, sequence & 0xffff, now));
beforeEach(() => {
  order = new RtpOrder({ window: 1_000, maxWaiting: 100 });
});

describe('the order of RTP packets', () => {
  it('[RTSP-168] is that of their numbers, with wrap; duplicates are dropped', () => {
    expect(push(0xfffe)).toEqual([0xfffe]);
    expect(push(0x10001)).toEqual([]);
    expect(push(0xffff)).toEqual([0xffff]);
    expect(push(0xffff)).toEqual([]);
    expect(push(0x10000)).toEqual([0, 1]);
    expect(order.counts).toMatchObject({ reordered: 2, dropped: 1, lost: 0 });
  });

  it('counts what was rebuilt from other packets neither as resent nor as late', () => {
    push(1);
    push(4);
    expect(order.wanted(50, 10)).toEqual([2, 3]);
    expect(numbers(order.push(2, 2, 60, 0, true))).toEqual([2]);
    expect(push(3, 70)).toEqual([3, 4]);
    // It is of no use any more, and shows nothing of the sender's numbers.
    expect(numbers(order.push(2, 2, 80, 0, true))).toEqual([]);
    expect(order.counts).toMatchObject({ resent: 1, reordered: 0, dropped: 0, lost: 0 });
  });

  it('begins at the number that the server names, whatever arrives first', () => {
    order.begin(10);
    expect(push(12)).toEqual([]);
    expect(push(10)).toEqual([10]);
    // Before the beginning: of an earlier position.
    expect(push(9)).toEqual([]);
    expect(push(11)).toEqual([11, 12]);
  });

  it('[RTSP-169] skips what is missing for too long, and says how many', () => {
    push(1);
    push(4, 100);
    expect(numbers(order.skipped(1_099))).toEqual([]);
    expect(numbers(order.skipped(1_100))).toEqual([-2, 4]);
    expect(order.counts).toMatchObject({ lost: 2, longestGap: 2 });
    // Too late.
    expect(push(2, 1_200)).toEqual([]);
  });

  it('asks for what is missing again and again, not before packets can have overtaken each other', () => {
    push(1);
    push(3, 100);
    expect(order.wanted(101, 10)).toEqual([]);
    expect(order.wanted(115, 10)).toEqual([2]);
    expect(order.wanted(120, 10)).toEqual([]);
    expect(order.wanted(265, 10)).toEqual([2]);
    expect(push(2, 300)).toEqual([2, 3]);
    expect(order.counts.resent).toBe(1);
    expect(order.wanted(2_000, 10)).toEqual([]);
  });

  it('asks sooner once it knows how long an answer takes', () => {
    push(1);
    push(3, 0);
    expect(order.wanted(20, 10)).toEqual([2]);
    push(2, 30);
    push(5, 100);
    expect(order.wanted(115, 10)).toEqual([4]);
    expect(order.wanted(150, 10)).toEqual([]);
    expect(order.wanted(156, 10)).toEqual([4]);
  });

  it('takes a jump of the numbers for another beginning', () => {
    push(1);
    push(3);
    expect(push(30_000)).toEqual([-1, 3, 30_000]);
    expect(order.counts.lost).toBe(1);
    // Numbers that begin again before the expected one, too.
    for (let number = 20_000; number < 20_031; number++) expect(push(number)).toEqual([]);
    expect(push(20_031)).toEqual([20_031]);
  });

  it('keeps no more packets than it may', () => {
    push(1);
    for (let number = 3; number < 500; number++) push(number);
    expect(order.counts.dropped).toBe(397);
    expect(numbers(order.skipped(1))).toHaveLength(101);
  });

  it('keeps no more bytes than it may, and waits for no more packets than it can', () => {
    order = new RtpOrder({ window: 1_000, maxWaiting: 100, maxBytes: 5_000 });
    order.push(1, 1, 0, 1_000);
    for (let number = 3; number < 20; number++) order.push(number, number, 0, 1_000);
    expect(order.counts.dropped).toBe(11);
    order = new RtpOrder({ window: 1_000, maxWaiting: 100 });
    push(1);
    push(4_000);
    expect(order.wanted(20, 10_000)).toHaveLength(3_998);
    // With these it would be too many.
    expect(push(8_000)).toEqual([-3_998, 4_000, 8_000]);
  });

  it('over a connection waits for nothing', () => {
    order = new RtpOrder({ window: 0, maxWaiting: 100 });
    push(1);
    expect(push(4)).toEqual([-2, 4]);
  });

  it('[RTSP-109] delivers nothing after the end of an entry until it may', () => {
    push(1);
    order.endAt(4, 0);
    expect(order.complete).toBe(false);
    expect(push(5)).toEqual([]);
    expect(push(2)).toEqual([2]);
    expect(numbers(order.flush())).toEqual([-1]);
    expect(order.complete).toBe(true);
    expect(push(4)).toEqual([]);
    expect(numbers(order.continue())).toEqual([4, 5]);
  });

  it('[RTSP-109] knows by the end that the last packets are missing, and which is the last', () => {
    push(1);
    order.endAt(4, 0);
    expect(order.wanted(20, 10)).toEqual([2, 3]);
  });

  it('holds what shows that another entry has begun until the server says so, or for a second', () => {
    const follows = (packet: number, previous: number) => packet > previous;
    order = new RtpOrder({ window: 1_000, maxWaiting: 100, follows });
    const sent = (sequence: number, packet: number, now: number) => numbers(order.push(sequence, packet, now));
    expect(sent(1, 10, 0)).toEqual([10]);
    expect(sent(2, 0, 100)).toEqual([]);
    order.endAt(2, 110);
    expect(order.complete).toBe(true);
    expect(numbers(order.continue())).toEqual([0]);
    expect(sent(3, 5, 200)).toEqual([5]);
    expect(sent(4, 1, 300)).toEqual([]);
    expect(numbers(order.skipped(1_299))).toEqual([]);
    expect(numbers(order.skipped(1_300))).toEqual([1]);
  });
});
