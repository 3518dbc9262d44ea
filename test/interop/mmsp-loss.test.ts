import { join } from 'node:path';
import { stopAll } from './support/child.js';
import { decodeFile, makeAsf, newFolder, removeFolders } from './support/content.js';
import { namespaces, TwoHosts } from './support/namespaces.js';
import { itNeeds, program } from './support/programs.js';

const SECONDS = 12;

describe('MMSP by UDP, over a network that loses datagrams', () => {
  let hosts: TwoHosts | undefined;

  afterAll(async () => {
    await stopAll();
    hosts?.close();
    removeFolders();
  });

  for (const percent of [5, 20]) {
    itNeeds(
      [...namespaces, program('ffmpeg')],
      `of which ${percent} % are lost both ways, resends restore every picture`,
      async () => {
        const folder = newFolder();
        await makeAsf('film.wmv', { duration: SECONDS, folder, packetSize: 1400, videoBitrate: 800_000 });
        hosts?.close();
        hosts = new TwoHosts();
        const { sender, receiver } = hosts;
        const ports = ['--http-port', '0', '--mms-port', '0', '--msbd-port', 'none'];
        const served = hosts.wmcast(sender, 'serve', '--host', sender.address, ...ports, '--content', folder, '--json');
        const ready = await served.child.until('ready', () => served.events.find(({ event }) => event === 'ready'));
        const { mms } = (ready as unknown as { ports: { mms: number } }).ports;
        hosts.loseDatagrams(percent);
        const file = join(folder, 'pulled.wmv');
        const url = `mmsu://${sender.address}:${mms}/film.wmv`;
        const begun = performance.now();
        const pull = hosts.wmcast(receiver, 'pull', url, '-o', file, '--json');
        expect((await pull.child.ends()).code).toBe(0);
        const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
        const done = pull.events.find(({ event }) => event === 'done');
        const { packets, lostPackets, recoveredPackets } = done as unknown as Record<string, number>;
        process.stdout.write(
          `  ${percent} % lost: ${packets} packets in ${seconds} s, ${recoveredPackets} sent again, ${lostPackets} never came\n`,
        );
        expect(recoveredPackets).toBeGreaterThan((packets! * percent) / 300);
        expect(lostPackets).toBe(0);
        const [copy, original] = await Promise.all([decodeFile(file), decodeFile(join(folder, 'film.wmv'))]);
        expect(copy.pictures).toEqual(original.pictures);
        await served.child.stop();
      },
    );
  }
});
