import { CommandReader, withCommandStream } from '../../src/asf/command-stream.js';
import { liveHeader } from '../../src/asf/edit.js';
import { Broadcast } from '../../src/media/broadcast.js';
import type { AsfEvent } from '../../src/media/events.js';
import { parseScript } from '../../src/media/script-file.js';
import { ScriptedSource, type ScriptedSourceOptions } from '../../src/media/scripted-source.js';
import { SyntheticSource } from '../../src/testing/synthetic.js';
import { testHeader, testPacket } from '../support/stream.js';

interface Command {
  readonly type: string;
  readonly text: string;
  /** Send time of the packet in ms. */
  readonly at: number;
}

function commandsIn(events: readonly AsfEvent[]): Command[] {
  let reader: CommandReader | undefined;
  return events.flatMap((event) => {
    if (event.type === 'header') reader = new CommandReader(event.header);
    if (event.type !== 'packet') return [];
    return (reader?.read(event.packet) ?? []).map((command) => ({ ...command, at: event.packet.sendTime }));
  });
}

async function played(seconds: number, options: ScriptedSourceOptions): Promise<AsfEvent[]> {
  const events: AsfEvent[] = [];
  const source = new ScriptedSource(new SyntheticSource({ duration: seconds, video: [30_000] }), options);
  for await (const event of source) events.push(event);
  return events;
}

describe('a source with a script', () => {
  it('sends each command in a packet of its own when it is due, to be run when the media is shown', async () => {
    const commands = [
      { time: 1000, type: 'URL', text: 'http://example.com/ä' },
      { time: 0, type: 'TEXT', text: 'Hello' },
    ];
    const events = await played(3, { commands });
    expect(commandsIn(events).map(({ type, text }) => `${type} ${text}`)).toEqual([
      'TEXT Hello',
      'URL http://example.com/ä',
    ]);
    expect(commandsIn(events)[1]!.at).toBeGreaterThanOrEqual(1000);
    expect(commandsIn(events)[1]!.at).toBeLessThan(1400);
    const own = events.filter(
      (event) => event.type === 'packet' && event.packet.payloads.some(({ stream }) => stream === 3),
    );
    for (const event of own) {
      const { payloads, sendTime } = (event as Extract<AsfEvent, { type: 'packet' }>).packet;
      expect(payloads).toHaveLength(1);
      expect(payloads[0]!.presentationTime - sendTime).toBe(3000);
    }
  });

  it('repeats the newest TEXT for those who join later, and nothing else', async () => {
    const commands = ['TEXT old', 'TEXT new', 'URL u', 'EVENT e', 'FILENAME f'].map((line, index) => {
      const [type = '', text = ''] = line.split(' ');
      return { time: index * 100, type, text };
    });
    const events = await played(30, { commands, repeat: 10_000 });
    const sent = commandsIn(events).map(({ type, text }) => `${type} ${text}`);
    expect(sent).toEqual(['TEXT old', 'TEXT new', 'URL u', 'EVENT e', 'FILENAME f', 'TEXT new', 'TEXT new']);
  });

  it('leaves what it should not touch, and skips what does not fit', async () => {
    const plain = await played(1, { wanted: () => false, commands: [{ time: 0, type: 'TEXT', text: 'x' }] });
    expect(plain[0]).toMatchObject({ header: { streams: [{ number: 1 }, { number: 2 }] } });
    expect(commandsIn(plain)).toEqual([]);
    const warnings: string[] = [];
    const long = { time: 0, type: 'TEXT', text: 'x'.repeat(2000) };
    const events = await played(1, { commands: [long], onWarning: (message) => warnings.push(message) });
    expect(commandsIn(events)).toEqual([]);
    expect(warnings[0]).toMatch(/does not fit a packet/);
  });

  it('hands markers over when they are due', async () => {
    const markers: string[] = [];
    const marker = { type: 'MARKER', add: (text: string) => markers.push(text) };
    const events = await played(2, { commands: [{ time: 1000, type: 'MARKER', text: 'Chapter' }], marker });
    expect(markers).toEqual(['Chapter']);
    expect(commandsIn(events)).toEqual([]);
  });
});

describe('withCommandStream', () => {
  it('adds a stream once, in a header that is otherwise the same', () => {
    const header = liveHeader(testHeader({ title: 'A title' }));
    const added = withCommandStream(header);
    expect(added.streams.map(({ number, type }) => `${number} ${type}`)).toEqual(['1 video', '2 audio', '3 command']);
    expect(added.streamBitrates.get(3)).toBe(1000);
    expect(added.fileProperties.fileSize).toBe(BigInt(added.bytes.length));
    expect(withCommandStream(added)).toBe(added);
  });
});

describe('a broadcast', () => {
  it('repeats the TEXT that was inserted, and none that is older than the header', () => {
    let now = 0;
    const broadcast = new Broadcast({ now: () => now });
    const events: AsfEvent[] = [];
    broadcast.follow({
      started: (header) => events.push({ type: 'header', header }),
      packet: (_entry, packet) => {
        events.push({ type: 'packet', packet });
        return 0;
      },
      ended: () => undefined,
    });
    const media = (seconds: number) => {
      for (let end = now + seconds * 1000; now < end; now += 500)
        broadcast.write({ type: 'packet', packet: testPacket(now, { key: true }) });
    };
    const header = withCommandStream(liveHeader(testHeader()));
    broadcast.write({ type: 'header', header });
    media(1);
    expect(broadcast.insert({ type: 'TEXT', text: 'one' })).toBe(true);
    expect(broadcast.insert({ type: 'URL', text: 'u' })).toBe(true);
    media(25);
    expect(commandsIn(events).map(({ text }) => text)).toEqual(['one', 'u', 'one', 'one']);
    broadcast.write({ type: 'end', moreEntries: true, reason: 1 });
    broadcast.write({ type: 'header', header });
    media(25);
    expect(commandsIn(events)).toHaveLength(4);
  });
});

describe('parseScript', () => {
  it('reads times, types and texts', () => {
    const text = '# comment\n\n1:30 TEXT Now playing\n2.5 URL http://x/\r\n1:00:00 EVENT e\nTEXT 12 monkeys\nMARKER';
    expect(parseScript(text, 's.txt')).toEqual([
      { time: 90_000, command: { type: 'TEXT', text: 'Now playing' } },
      { time: 2500, command: { type: 'URL', text: 'http://x/' } },
      { time: 3_600_000, command: { type: 'EVENT', text: 'e' } },
      { time: undefined, command: { type: 'TEXT', text: '12 monkeys' } },
      { time: undefined, command: { type: 'MARKER', text: '' } },
    ]);
  });

  it('names the line that is wrong', () => {
    expect(() => parseScript('TEXT a\nhello there', 's.txt')).toThrow(/^s.txt:2: "hello there" is not a command/);
  });
});
