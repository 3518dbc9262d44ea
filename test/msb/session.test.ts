import type { NscFile } from '../../src/announce/nsc.js';
import type { AsfEvent } from '../../src/media/events.js';
import { MsbSession, type SessionAction, type SessionOptions } from '../../src/msb/client/session.js';
import { BEACON, serialiseMsbPacket, streamIdOf } from '../../src/msb/messages/packet.js';
import { MsbTransmission } from '../../src/msb/server/transmission.js';
import { liveAudio, liveVideo, packets } from './support.js';

const SENDER = '192.0.2.1';

/** A transmission, and a session that has its .nsc file. */
function pair(options: SessionOptions = {}, more: Partial<NscFile> = {}) {
  const transmission = new MsbTransmission();
  transmission.header(liveAudio());
  const nsc: NscFile = { address: '239.1.2.3', port: 5000, formats: transmission.formats, ...more };
  const session = new MsbSession(nsc, 0, options);
  const send = (count: number, from: number, now: number) =>
    packets(count, from)
      .flatMap((packet) => transmission.packet(packet))
      .flatMap((datagram) => session.datagram(datagram, SENDER, now));
  return { transmission, nsc, session, send };
}

const kinds = (actions: readonly SessionAction[]) =>
  actions.map((action) => (action.type === 'event' ? action.event.type : action.type));
const eventsOf = (actions: readonly SessionAction[]): AsfEvent[] =>
  actions.flatMap((action) => (action.type === 'event' ? [action.event] : []));

describe('MsbSession', () => {
  it('[MSB-089] [MSB-090] [MSB-091] waits 20 seconds for the first packet, or as configured between 10 and 30', () => {
    const usual = pair().session;
    expect(usual.tick(19_999)).toEqual([]);
    expect(usual.tick(20_000)).toEqual([{ type: 'openTimeout' }]);
    expect(usual.tick(40_000)).toEqual([]);
    const patient = pair({ openTimeout: 30_000 }).session;
    expect(patient.tick(29_999)).toEqual([]);
    expect(kinds(patient.tick(30_000))).toEqual(['openTimeout']);
    for (const openTimeout of [0, 9_999, 30_001]) expect(() => pair({ openTimeout })).toThrow('10 to 30 seconds');
  });

  it('[MSB-090] counts the Open timer from when it begins to listen, and stops it permanently with the first packet', () => {
    const start = 5_000_000;
    const later = () => {
      const transmission = new MsbTransmission();
      transmission.header(liveAudio());
      const nsc: NscFile = { address: '239.1.2.3', port: 5000, formats: transmission.formats };
      return { transmission, session: new MsbSession(nsc, start, { openTimeout: 10_000, endTimeout: 60_000 }) };
    };
    const silent = later().session;
    expect(silent.tick(start)).toEqual([]);
    expect(silent.tick(start + 9_999)).toEqual([]);
    expect(kinds(silent.tick(start + 10_000))).toEqual(['openTimeout']);
    const { session, transmission } = later();
    const [datagram] = transmission.packet(packets(1)[0]!);
    expect(kinds(session.datagram(datagram!, SENDER, start + 9_999))).toEqual(['header', 'packet']);
    for (let seconds = 10; seconds < 60; seconds++) expect(session.tick(start + seconds * 1_000)).toEqual([]);
    const beacon = later().session;
    beacon.datagram(BEACON, SENDER, start + 9_999);
    for (let seconds = 10; seconds < 600; seconds++) expect(beacon.tick(start + seconds * 1_000)).toEqual([]);
  });

  it('[MSB-082] [MSB-092] is content with a Beacon, at any time', () => {
    const { session, send } = pair();
    expect(session.datagram(BEACON, SENDER, 19_000)).toEqual([]);
    expect(session.tick(100_000)).toEqual([]);
    expect(kinds(send(1, 0, 100_001))).toEqual(['header', 'packet']);
    expect(session.datagram(BEACON, SENDER, 100_002)).toEqual([]);
    expect(kinds(send(1, 1, 100_003))).toEqual(['packet']);
    expect(session.stats).toMatchObject({ beacons: 2, packets: 2 });
  });

  it('[MSB-093] [MSB-094] stops the Open timer and starts the End of Stream timer only for packets whose header it knows', () => {
    const { session, send } = pair();
    const unknown = serialiseMsbPacket(0, streamIdOf(1, false), packets(1)[0]!.bytes);
    expect(session.datagram(unknown, SENDER, 19_000)).toEqual([{ type: 'unknownFormat', formatId: 1 }]);
    expect(kinds(session.tick(20_000))).toEqual(['openTimeout']);
    const known = pair();
    expect(kinds(known.send(1, 0, 19_000))).toEqual(['header', 'packet']);
    known.send(1, 1, 30_000);
    known.session.datagram(serialiseMsbPacket(2, streamIdOf(1, false), packets(1)[0]!.bytes), SENDER, 50_000);
    expect(known.session.tick(59_999)).toEqual([]);
    expect(kinds(known.session.tick(60_000))).toEqual(['end', 'report', 'over']);
    expect(send(1, 0, 21_000)).toEqual([]);
  });

  it('[MSB-095] [MSB-096] [MSB-100] ends after 30 seconds without packets, or as configured; Beacons do not count', () => {
    const { session, send } = pair();
    send(3, 0, 1_000);
    session.datagram(BEACON, SENDER, 30_000);
    expect(session.tick(30_999)).toEqual([]);
    const actions = session.tick(31_000);
    expect(eventsOf(actions)).toEqual([{ type: 'end', moreEntries: false, reason: 0 }]);
    expect(kinds(actions)).toEqual(['end', 'report', 'over']);
    const brief = pair({ endTimeout: 2_000 });
    brief.send(1, 0, 0);
    expect(kinds(brief.session.tick(2_000))).toEqual(['end', 'report', 'over']);
  });

  it('[MSB-097] drops packets with an unknown Format ID, and all that follow with it, and reports it once', () => {
    const { session, send } = pair();
    send(2, 0, 0);
    const foreign = (id: number) => serialiseMsbPacket(id, streamIdOf(7, true), packets(1, id)[0]!.bytes);
    expect(kinds([2, 3, 4].flatMap((id) => session.datagram(foreign(id), SENDER, 1)))).toEqual(['unknownFormat']);
    expect(session.stats).toMatchObject({ unknownFormat: 3, lost: 0 });
    const other = new MsbTransmission({ firstId: 5 });
    other.header(liveAudio());
    const again = other.packet(packets(1, 5)[0]!).flatMap((datagram) => session.datagram(datagram, SENDER, 2));
    expect(kinds(again)).toEqual(['packet']);
  });

  it('takes packets of a header from a newer .nsc file', () => {
    const { session, send, transmission, nsc } = pair();
    send(1, 0, 0);
    transmission.header(liveAudio('new'));
    expect(kinds(send(1, 1, 1))).toEqual(['unknownFormat']);
    session.update({ ...nsc, formats: transmission.formats });
    expect(kinds(send(3, 2, 2))).toEqual(['end', 'report', 'header', 'packet', 'packet', 'packet']);
  });

  it('[MSB-069] [MSB-107] begins another entry where wStreamID changes, even with the same header, and reports the last one', () => {
    const { session, send, transmission } = pair();
    send(4, 0, 1_000);
    transmission.header(liveAudio());
    const actions = send(3, 4, 3_000);
    expect(kinds(actions)).toEqual(['end', 'report', 'header', 'packet', 'packet', 'packet']);
    expect(eventsOf(actions)[0]).toEqual({ type: 'end', moreEntries: true, reason: 1 });
    const report = actions.find((action) => action.type === 'report')!.report;
    expect(report).toMatchObject({
      rendered: 4,
      received: 4,
      lost: 0,
      startedAt: 1_000,
      endedAt: 1_000,
      firstSendTime: 0,
      lastSendTime: 120,
    });
    const last = session.tick(40_000).find((action) => action.type === 'report')!.report;
    expect(last).toMatchObject({ rendered: 3, startedAt: 3_000, endedAt: 3_000 });
  });

  it('[MSB-105] [MSB-106] reports if it is stopped, but not if nothing was received', () => {
    const { session, send } = pair();
    send(3, 0, 0);
    expect(kinds(session.stop(500))).toEqual(['end', 'report']);
    expect(session.stop(600)).toEqual([]);
    expect(send(3, 3, 700)).toEqual([]);
    expect(pair().session.stop(500)).toEqual([]);
  });

  it('[MSB-106] reports no entry of which nothing was rendered, whether it is stopped, ends or another one begins', () => {
    const open = () => {
      const transmission = new MsbTransmission();
      transmission.header(liveVideo());
      const formats = [...transmission.formats];
      const session = new MsbSession({ address: '239.1.2.3', port: 5000, formats }, 0);
      // Audio only: the session waits for a key frame of the video that the header declares.
      const send = (count: number, from: number, now: number) =>
        packets(count, from)
          .flatMap((packet) => transmission.packet(packet))
          .flatMap((datagram) => session.datagram(datagram, SENDER, now));
      expect(kinds(send(5, 0, 100))).toEqual(['header']);
      return { transmission, session, send };
    };
    const stopped = open();
    expect(kinds(stopped.session.stop(500))).toEqual(['end']);
    const ended = open();
    expect(kinds(ended.session.tick(30_100))).toEqual(['end', 'over']);
    const changed = open();
    changed.transmission.header(liveVideo());
    expect(kinds(changed.send(3, 5, 200))).toEqual(['end', 'header', 'packet', 'packet', 'packet']);
    expect(kinds(changed.session.stop(500))).toEqual(['end', 'report']);
  });

  /** A transmission with parity, and a session that gets the datagrams for which `keep` returns true. */
  function lossy(keep: (index: number) => boolean, options: SessionOptions = {}) {
    const transmission = new MsbTransmission({ span: 10 });
    transmission.header(liveAudio());
    const session = new MsbSession({ address: '239.1.2.3', port: 5000, formats: transmission.formats }, 0, options);
    const send = (count: number, from: number, now: number) => {
      const all = packets(count, from).flatMap((packet, index) => {
        const [data, ...parity] = transmission.packet(packet);
        return [...(keep(from + index) ? [data!] : []), ...parity];
      });
      return [...all, ...transmission.end()].flatMap((datagram) => session.datagram(datagram, SENDER, now));
    };
    return { transmission, session, send };
  }

  const reportsOf = (actions: readonly SessionAction[]) =>
    actions.flatMap((action) => (action.type === 'report' ? [action.report] : []));

  it('[WMLOG-015] [WMLOG-018] counts received, rebuilt and lost packets, each once', () => {
    // 15, 39 and 40 are each the only loss in their span; 72 and 73 are in the same span.
    const gone = new Set([15, 39, 40, 72, 73]);
    const { session, send } = lossy((index) => !gone.has(index));
    const actions = [...send(102, 0, 1_000), ...session.stop(9_000)];
    expect(kinds(actions).filter((kind) => kind === 'packet')).toHaveLength(100);
    expect(reportsOf(actions)).toMatchObject([
      { rendered: 100, received: 97, recovered: 3, lost: 2, reordered: 0, longestGap: 2 },
    ]);
  });

  it('[WMLOG-016] counts rebuilt packets as lost on the network: the longest run includes them', () => {
    // With only 1, 4 and 8 of 1 to 8 it is 3, here without a parity packet that could help.
    const plain = lossy((index) => ![2, 3, 5, 6, 7].includes(index));
    expect(reportsOf([...plain.send(9, 0, 0), ...plain.session.stop(1)])).toMatchObject([{ lost: 5, longestGap: 3 }]);
    // The last packet of one span and the first of the next, both rebuilt.
    const rebuilt = lossy((index) => ![9, 10].includes(index));
    expect(reportsOf([...rebuilt.send(20, 0, 0), ...rebuilt.session.stop(1)])).toMatchObject([
      { lost: 0, recovered: 2, longestGap: 2, received: 18 },
    ]);
  });

  it('[WMLOG-020] counts packets that came after a later one separately', () => {
    const { transmission, session } = pair();
    const datagrams = packets(6).flatMap((packet) => transmission.packet(packet));
    const order = [0, 2, 1, 3, 5, 4].map((index) => datagrams[index]!);
    const actions = order.flatMap((datagram) => session.datagram(datagram, SENDER, 0));
    expect(reportsOf([...actions, ...session.stop(1)])).toMatchObject([
      { rendered: 6, received: 4, reordered: 2, lost: 0, longestGap: 0 },
    ]);
  });

  it('counts losses in the entry that they belong to, and the bandwidth over all entries', () => {
    const { transmission, session, send } = lossy((index) => ![12, 13, 43].includes(index), { endTimeout: 5_000 });
    const first = [...send(20, 0, 1_000), ...send(10, 20, 3_000)];
    transmission.header(liveAudio());
    const second = [...send(20, 30, 5_000), ...session.tick(20_000)];
    const [one, two] = reportsOf([...first, ...second]);
    expect(one).toMatchObject({ received: 28, lost: 2, recovered: 0, longestGap: 2, startedAt: 1_000, endedAt: 3_000 });
    expect(two).toMatchObject({ received: 19, lost: 0, recovered: 1, longestGap: 1, startedAt: 5_000, endedAt: 5_000 });
    expect(two!.averageBandwidth).toBeCloseTo(((one!.bytes + two!.bytes) * 8) / 4);
    expect(one!.averageBandwidth).toBeCloseTo((one!.bytes * 8) / 2);
  });

  it('ends no entry for a few stray datagrams of another one, which anybody can send', () => {
    const { session, send, transmission } = pair();
    send(5, 0, 0);
    const stray = (id: number) => serialiseMsbPacket(id, transmission.streamId ^ 0x8000, packets(1, id)[0]!.bytes);
    for (let round = 0; round < 50; round++) {
      const id = 5 + round * 2;
      expect(session.datagram(stray(id), SENDER, round)).toEqual([]);
      const own = serialiseMsbPacket(id + 1, transmission.streamId, packets(1, id + 1)[0]!.bytes);
      expect(kinds(session.datagram(own, SENDER, round))).toEqual(['packet']);
    }
    expect(session.stats.foreign).toBe(50);
    // If the current entry does not go on after them, the packets began another one, however short it is.
    expect(session.datagram(stray(105), SENDER, 1_000)).toEqual([]);
    expect(session.tick(1_499)).toEqual([]);
    expect(kinds(session.tick(1_500))).toEqual(['end', 'report', 'header', 'packet']);
    expect(kinds(session.stop(1_600))).toEqual(['end', 'report']);
    const brief = pair();
    brief.send(3, 0, 0);
    brief.transmission.header(liveAudio());
    expect(brief.send(2, 3, 1)).toEqual([]);
    expect(kinds(brief.session.stop(2))).toEqual(['end', 'report', 'header', 'packet', 'packet', 'end', 'report']);
  });

  it('[MSB-108] drops datagrams that are not MSB packets, and packets that cannot be read', () => {
    const { session, send } = pair();
    send(1, 0, 0);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(7), Buffer.from('MSB'), Buffer.alloc(2000, 1)]) {
      expect(session.datagram(bytes, SENDER, 1)).toEqual([]);
    }
    const [own] = packets(1, 1);
    const { streamId } = pair().transmission;
    expect(session.datagram(serialiseMsbPacket(1, streamId, own!.bytes.subarray(0, 9)), SENDER, 2)).toEqual([]);
    expect(session.stats.malformed).toBe(5);
    expect(kinds(session.datagram(serialiseMsbPacket(2, streamId, own!.bytes), SENDER, 3))).toEqual(['packet']);
  });

  it('[MSB-109] drops datagrams from an address other than the Multicast Adapter', () => {
    const { session, transmission } = pair({}, { adapter: '192.0.2.1' });
    const [datagram] = transmission.packet(packets(1)[0]!);
    expect(session.datagram(datagram!, '198.51.100.7', 0)).toEqual([]);
    expect(session.stats.foreign).toBe(1);
    expect(kinds(session.datagram(datagram!, '192.0.2.1', 1))).toEqual(['header', 'packet']);
    const any = pair({ anySource: true }, { adapter: '192.0.2.1' });
    expect(kinds(any.session.datagram(datagram!, '198.51.100.7', 0))).toEqual(['header', 'packet']);
  });

  it('begins at a key frame if there is video', () => {
    const transmission = new MsbTransmission();
    transmission.header(liveVideo());
    const session = new MsbSession({ address: '239.1.2.3', port: 5000, formats: transmission.formats }, 0);
    const anywhere = new MsbSession({ address: '239.1.2.3', port: 5000, formats: transmission.formats }, 0, {
      anywhere: true,
    });
    const [datagram] = transmission.packet(packets(1)[0]!);
    expect(kinds(session.datagram(datagram!, SENDER, 0))).toEqual(['header']);
    expect(kinds(anywhere.datagram(datagram!, SENDER, 0))).toEqual(['header', 'packet']);
  });

  it('refuses an .nsc file whose ASF header is malformed', () => {
    const formats = [{ id: 1, header: Buffer.from('no header at all, but text') }];
    expect(() => new MsbSession({ address: '239.1.2.3', port: 5000, formats }, 0)).toThrow(
      /"Format1" of the \.nsc file cannot be read/,
    );
  });
});
