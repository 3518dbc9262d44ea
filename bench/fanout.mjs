// Live fan-out by WMSP on the real commands, see bench/real.mjs. CPU seconds for each GB, once all players have joined.
//
//   npm run build && node bench/fanout.mjs [--players 100,500,1000] [--seconds 15] [--runs 3] [--load PROGRAM] [--ceiling SCRIPT] [--vlc]
//
// --load names another generator than bench/load.mjs, called as PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID and printing
// one JSON line as that does; above 2000 players the one here is slower than the server. --ceiling names another ceiling, called as
// bench/ceiling.mjs is. --serve names another bin/wmcast.js, to compare with. --vlc measures VLC's mmsh server as well: it reads and
// multiplexes the file itself, which our push does in another process.
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { compare, freePort, here, listens, readOptions } from './real.mjs';

/** VLC refuses to run as root. */
const NOBODY = 65534;

async function startVlc(file) {
  const port = await freePort();
  const server = spawn(
    'vlc',
    [
      ...['-I', 'dummy', '--loop', '--no-sout-all', '--sout-keep', file],
      ...['--sout', `#std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}/live}`],
    ],
    {
      stdio: 'ignore',
      cwd: tmpdir(),
      env: { ...process.env, HOME: tmpdir() },
      ...(process.getuid() === 0 && { uid: NOBODY, gid: NOBODY }),
    },
  );
  await listens(port);
  return { server, port, others: [] };
}

const options = readOptions({ vlc: { type: 'boolean', default: false } });
const load = { program: options.load ?? here('./load.mjs') };
await compare(options, {
  protocol: 'http',
  load,
  peers: options.vlc ? [{ name: 'VLC', start: startVlc, load }] : [],
  losses: { 'lost (LocationId)': ['loc_gaps'], 'AFFlags wrong': ['af_gaps'] },
});
