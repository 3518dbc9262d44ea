import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AsfReader } from '../../src/asf/reader.js';
import { stopAll } from './support/child.js';
import type { CommandEvent } from './support/commands.js';
import { decodeFile, makeAsf, newFolder } from './support/content.js';
import { namespaces, TwoHosts } from './support/namespaces.js';
import { itNeeds, program } from './support/programs.js';

const SECONDS = 12;
const NEEDED = [...namespaces, program('ffmpeg')];

/** Returns the data packets of a file, as hexadecimal text. */
async function packetsOf(path: string): Promise<string[]> {
  const items = new AsfReader().push(await readFile(path));
  return items.flatMap((item) => (item.type === 'packet' ? [item.packet.bytes.toString('hex')] : []));
}

/** Returns the payloads of a file's data packets, without times: those start over if the first key frame was lost. */
async function contentsOf(path: string): Promise<string[]> {
  const items = new AsfReader().push(await readFile(path));
  return items.flatMap((item) => {
    if (item.type !== 'packet') return [];
    const { bytes, payloads } = item.packet;
    const parts = payloads.map(
      ({ stream, mediaObjectNumber, offset, dataStart, dataLength }) =>
        `${stream} ${mediaObjectNumber} ${offset} ${bytes.toString('hex', dataStart, dataStart + dataLength)}`,
    );
    return [parts.join()];
  });
}

describe('multicast from one host to another over a link that loses packets', () => {
  let hosts: TwoHosts;
  let file: string;

  beforeAll(async () => {
    file = await makeAsf('source.asf', { duration: SECONDS, packetSize: 1300 });
  });

  beforeEach(() => {
    hosts = new TwoHosts();
  });

  afterEach(async () => {
    await stopAll();
    hosts.close();
  });

  /**
   * Relays the file to a group while another host records it. @returns the recording, and the final report of `pull`
   */
  async function transfer(
    query: string,
    lose: () => void,
  ): Promise<{ recorded: string; done: CommandEvent; sent: CommandEvent }> {
    const folder = newFolder();
    const nsc = join(folder, 'live.nsc');
    const recorded = join(folder, 'recorded.asf');
    const url = `msb://239.192.5.5:5005?interface=${hosts.sender.address}${query}`;
    // A first run only shows how to receive the group, so that the receiver is ready when the second one begins.
    const early = hosts.wmcast(hosts.sender, 'relay', file, url, '--nsc', nsc, '-t', '0.5', '--json');
    await early.child.ends();
    lose();
    const pull = hosts.wmcast(hosts.receiver, 'pull', nsc, '--interface', 'wire', '-o', recorded, '--json');
    const inGroup = async () =>
      /239\.192\.5\.5/.test((await run(hosts.receiver, 'ip', 'maddr', 'show', 'dev', 'wire')).join('\n'));
    for (const late = performance.now() + 15_000; !(await inGroup()); ) expect(performance.now()).toBeLessThan(late);
    const relay = hosts.wmcast(hosts.sender, 'relay', file, url, '--json');
    expect(await relay.child.ends()).toEqual({ code: 0, signal: null });
    const sent = relay.events.find(({ event }) => event === 'done')!;
    // The last packets have arrived before the next figures are reported.
    const told = pull.events.length;
    await pull.child.until('figures', () => pull.events.slice(told).find(({ event }) => event === 'stats'));
    pull.child.signal('SIGTERM');
    expect((await pull.child.ends()).code).toBe(143);
    const done = pull.events.find(({ event }) => event === 'done')!;
    return { recorded, done, sent };
  }

  async function run(host: { readonly namespace: string }, ...command: string[]): Promise<string[]> {
    const { child } = hosts.program(host, ...command);
    await child.ends();
    return child.output;
  }

  itNeeds(
    NEEDED,
    '[MSB-045] [MSB-098] with a parity packet for every 5 the recording has every packet, though 1 in 20 datagrams is lost',
    async () => {
      const { recorded, done, sent } = await transfer('&fec=5', () => hosts.lose(5005, 20, 'inc'));
      const original = await packetsOf(file);
      expect(sent['packets']).toBe(original.length);
      expect(hosts.lost).toBeGreaterThan(original.length / 20);
      expect(await packetsOf(recorded)).toEqual(original);
      // The other lost datagrams were parity packets, or of no interest to the receiver.
      expect(done).toMatchObject({ packets: original.length, lostPackets: 0 });
      expect(done['recoveredPackets']).toBeGreaterThan(original.length / 40);
    },
  );

  itNeeds(NEEDED, 'by chance, what parity cannot restore is counted, and the rest is there byte for byte', async () => {
    const { recorded, done } = await transfer('&fec=5', () => hosts.lose(5005, 20, 'random'));
    const original = await contentsOf(file);
    // If the first packets are lost, the recording begins within one second, at the next key frame.
    const [, ...got] = await contentsOf(recorded);
    const places = got.map((packet) => original.indexOf(packet));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...new Set(places)].sort((a, b) => a - b));
    const before = places[0]!;
    const missing = original.length - before - got.length;
    expect(done['lostPackets']).toBeGreaterThanOrEqual(missing);
    expect(done['lostPackets']).toBeLessThanOrEqual(missing + before);
    expect(missing).toBeLessThan(hosts.lost / 2);
  });

  itNeeds(NEEDED, 'without parity the gaps are counted, and the file plays', async () => {
    const { recorded, done } = await transfer('', () => hosts.lose(5005, 20, 'inc'));
    const original = await packetsOf(file);
    const got = await packetsOf(recorded);
    const missing = original.length - original.indexOf(got[0]!) - got.length;
    expect(missing).toBeGreaterThan(original.length / 25);
    expect(done).toMatchObject({ packets: got.length, lostPackets: missing, recoveredPackets: 0 });
    const decoded = await decodeFile(recorded);
    expect(decoded.pictures.length).toBeGreaterThan(SECONDS * 25 * 0.5);
  });

  itNeeds([...namespaces, program('python3')], '[MSB-034] datagrams leave with the TTL of the .nsc file', async () => {
    const listen = [
      'import socket, struct',
      's = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)',
      's.bind(("239.192.5.5", 5005))',
      `s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("239.192.5.5") + socket.inet_aton("${hosts.receiver.address}"))`,
      's.setsockopt(socket.IPPROTO_IP, 12, 1)',
      'print("ready", flush=True)',
      'seen = set()',
      'for _ in range(50):',
      '  data, extra, flags, source = s.recvmsg(65536, 256)',
      '  seen.add((source[0], [struct.unpack("i", d)[0] for l, t, d in extra if t == socket.IP_TTL][0]))',
      'print(sorted(seen), flush=True)',
    ];
    const { child } = hosts.program(hosts.receiver, 'python3', '-c', listen.join('\n'));
    await child.until('readiness', () => child.output.find((line) => line === 'ready'));
    const nsc = join(newFolder(), 'live.nsc');
    const url = `msb://239.192.5.5:5005?interface=${hosts.sender.address}&ttl=9&fec=3`;
    hosts.wmcast(hosts.sender, 'relay', file, url, '--nsc', nsc, '--json');
    await child.ends();
    expect(child.output).toEqual(['ready', `[('${hosts.sender.address}', 9)]`]);
    const text = await readFile(nsc, 'latin1');
    expect(text).toContain('Time To Live=0x00000009\r\n');
    expect(text).toContain(`Multicast Adapter=${hosts.sender.address}\r\n`);
  });
});
