// Live fan-out by WMSP on the real commands, see bench/real.mjs. CPU seconds for each GB, once all players have joined.
//
//   npm run build && node bench/fanout.mjs [--players 100,500,1000] [--seconds 15] [--runs 3] [--load PROGRAM] [--ceiling SCRIPT] [--vlc]
//
// --load names another generator than bench/load.mjs, called as PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID and printing
// one JSON line as that does; above 2000 players the one here is slower than the server. --ceiling names another ceiling, called as
// bench/ceiling.mjs is. --serve names another bin/wmcast.js, to compare with. --vlc measures VLC's mmsh server as well: it reads and
// multiplexes the file itself, which our push does in another process.
import { compare, here, readOptions } from './real.mjs';
import { startVlc } from './vlc.mjs';

const options = readOptions({ vlc: { type: 'boolean', default: false } });
const load = { program: options.load ?? here('./load.mjs') };
await compare(options, {
  protocol: 'http',
  load,
  peers: options.vlc ? [{ name: 'VLC', start: startVlc, load }] : [],
  losses: { 'lost (LocationId)': ['loc_gaps'], 'AFFlags wrong': ['af_gaps'] },
});
