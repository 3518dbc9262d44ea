import { fileURLToPath } from 'node:url';
import { execa } from 'execa';
import { stopAll } from './support/child.js';
import { makeAsf, removeFolders } from './support/content.js';
import { itNeeds, library, program, type Requirement } from './support/programs.js';
import { VlcServer } from './support/vlc-server.js';

const bin = fileURLToPath(new URL('../../bin/wmcast.js', import.meta.url));
const libmms = fileURLToPath(new URL('support/libmms.py', import.meta.url));

let film: string;
beforeAll(async () => {
  film = await makeAsf('film.wmv', { duration: 30, videoBitrate: 200_000 });
});
afterAll(async () => {
  await stopAll();
  removeFolders();
});

/** Runs a judge. @returns the must rules that were broken, and those that were kept */
async function judge(...args: string[]): Promise<{ broken: string[]; kept: string[]; exitCode: number | undefined }> {
  const { stdout, exitCode } = await execa(process.execPath, [bin, 'judge', ...args], {
    reject: false,
    timeout: 60_000,
  });
  const lines = stdout.split('\n').filter((line) => line.startsWith('{"event":"rule"'));
  const rules = lines.map((line) => JSON.parse(line) as { rule: string; level: string; outcome: string });
  const named = (outcome: string) =>
    rules.filter((each) => each.outcome === outcome && each.level === 'must').map(({ rule }) => rule);
  return { broken: named('broken'), kept: named('kept'), exitCode };
}

/** What no free player does: it keeps no session, and reports nothing. */
const ALL_PLAYERS = ['play-tokens', 'token-values', 'client-id', 'log-sent', 'entry-followed'];

const PLAYERS: ReadonlyArray<readonly [name: string, needs: readonly Requirement[], command: readonly string[]]> = [
  ['ffmpeg', [program('ffmpeg')], ['ffmpeg', '-v', 'error', '-i', '{url}', '-f', 'null', '-']],
  ['mpv', [program('mpv')], ['mpv', '--no-config', '--vo=null', '--ao=null', '--really-quiet', '{url}']],
  ['mplayer', [program('mplayer')], ['mplayer', '-really-quiet', '-vo', 'null', '-ao', 'null', '{url}']],
  ['libmms', [program('python3'), library('libmms.so.0')], ['python3', libmms, '{url}']],
];

describe('the judges', () => {
  itNeeds([program('vlc')], "name what is wrong with VLC's server, and pass what is right", async () => {
    const server = await VlcServer.start(film);
    const { broken, kept, exitCode } = await judge('server', '--json', server.url);
    expect(exitCode).toBe(1);
    // VLC writes the version after a blank, gives every request a session of its own, answers all of them with the stream,
    // does not count $D, and does not filter streams.
    // With some files its send times go back as well.
    expect(broken.filter((rule) => rule !== 'send-times-rise').sort()).toEqual(
      [
        ...['agent-required', 'client-id-kept', 'content-info-confirmed', 'keep-alive-confirmed', 'log-confirmed'],
        ...['one-request-type', 'only-selected', 'sequence', 'server-product', 'session-known', 'session-reset'],
      ].sort(),
    );
    const right = ['framing', 'pieces', 'order', 'header-whole', 'packets-readable', 'objects-whole', 'unknown-path'];
    expect(right.filter((rule) => !kept.includes(rule))).toEqual([]);
  });

  for (const [name, needs, command] of PLAYERS) {
    itNeeds(needs, `name what ${name} does otherwise, and pass what is right`, async () => {
      const { broken, kept, exitCode } = await judge('player', '--json', '-i', film, '-t', '6s', '--', ...command);
      expect(exitCode).toBe(1);
      expect(broken).toEqual(ALL_PLAYERS);
      const right = [
        'http-syntax',
        'user-agent',
        'request-types',
        'streams-listed',
        'stream-switch-form',
        'client-guid',
      ];
      expect(right.filter((rule) => !kept.includes(rule))).toEqual([]);
    });
  }
});
