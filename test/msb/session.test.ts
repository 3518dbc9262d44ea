import type { NscFile } from '../../src/announce/nsc.js';
import type { AsfEvent } from '../../src/media/events.js';
import { BEACON, serialiseMsbPacket, streamIdOf } from '../../src/msb/packet.js';
import { MsbSession, type SessionAction, type SessionOptions } from '../../src/msb/session.js';
import { MsbTransmission } from '../../src/msb/transmission.js';
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
  it('[MSB-089] [MSB-090] [MSB-091] waits 20 seconds for the first packet, or what it is told between 10 and 30', () => {
    const usual = pair().session;
    expect(usual.tick(19_999)).toEqual([]);
    expect(usual.tick(20_000)).toEqual([{ type: 'openTimeout' }]);
    expect(usual.tick(40_000)).toEqual([]);
    const patient = pair({ openTimeout: 30_000 }).session;
    expect(patient.tick(29_999)).toEqual([]);
    expect(kinds(patient.tick(30_000))).toEqual(['openTimeout']);
    for (const openTimeout of [0, 9_999, 30_001]) expect(() => pair({ openTimeout })).toThrow('10 to 30 seconds');
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

  it('[MSB-095] [MSB-096] [MSB-100] takes 30 seconds without packets for the end, or what it is told; Beacons do not count', () => {
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

  it('[MSB-097] leaves out what has an unknown Format ID, all that follows with it, and tells of it once', () => {
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

  it('takes packets of a header that a newer .nsc file has', () => {
    const { session, send, transmission, nsc } = pair();
    send(1, 0, 0);
    transmission.header(liveAudio('new'));
    expect(kinds(send(1, 1, 1))).toEqual(['unknownFormat']);
    session.update({ ...nsc, formats: transmission.formats });
    expect(kinds(send(1, 2, 2))).toEqual(['end', 'report', 'header', 'packet']);
  });

  it('[MSB-069] [MSB-107] begins another entry where wStreamID changes, though the header is the same, and reports the last', () => {
    const { session, send, transmission } = pair();
    send(4, 0, 1_000);
    transmission.header(liveAudio());
    const actions = send(2, 4, 3_000);
    expect(kinds(actions)).toEqual(['end', 'report', 'header', 'packet', 'packet']);
    expect(eventsOf(actions)[0]).toEqual({ type: 'end', moreEntries: true, reason: 1 });
    const report = actions.find((action) => action.type === 'report')!.report;
    expect(report).toMatchObject({
      packets: 4,
      lost: 0,
      startedAt: 1_000,
      endedAt: 3_000,
      firstSendTime: 0,
      lastSendTime: 120,
    });
    const last = session.tick(40_000).find((action) => action.type === 'report')!.report;
    expect(last).toMatchObject({ packets: 2, startedAt: 3_000 });
  });

  it('[MSB-105] [MSB-106] reports when it is stopped, but not when nothing was received', () => {
    const { session, send } = pair();
    send(3, 0, 0);
    expect(kinds(session.stop(500))).toEqual(['end', 'report']);
    expect(session.stop(600)).toEqual([]);
    expect(send(3, 3, 700)).toEqual([]);
    expect(pair().session.stop(500)).toEqual([]);
  });

  it('[MSB-108] leaves out datagrams that are none, and packets that cannot be read', () => {
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

  it('[MSB-109] leaves out datagrams from another address than the Multicast Adapter', () => {
    const { session, transmission } = pair({}, { adapter: '192.0.2.1' });
    const [datagram] = transmission.packet(packets(1)[0]!);
    expect(session.datagram(datagram!, '198.51.100.7', 0)).toEqual([]);
    expect(session.stats.foreign).toBe(1);
    expect(kinds(session.datagram(datagram!, '192.0.2.1', 1))).toEqual(['header', 'packet']);
    const any = pair({ anySource: true }, { adapter: '192.0.2.1' });
    expect(kinds(any.session.datagram(datagram!, '198.51.100.7', 0))).toEqual(['header', 'packet']);
  });

  it('begins at a key frame when there is video', () => {
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

  it('refuses an .nsc file whose ASF header is none', () => {
    const formats = [{ id: 1, header: Buffer.from('no header at all, but text') }];
    expect(() => new MsbSession({ address: '239.1.2.3', port: 5000, formats }, 0)).toThrow(
      /"Format1" of the \.nsc file cannot be read/,
    );
  });
});
