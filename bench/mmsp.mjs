// Live fan-out by MMSP on the real commands, see bench/real.mjs: TCP, and with --udp datagrams to players whose receive buffers hold 64 KiB.
//
//   npm run build && node bench/mmsp.mjs [--players 1000] [--seconds 15] [--runs 3] [--udp] [--load PROGRAM] [--ceiling SCRIPT]
//
// --load names another generator than bench/load-mmsp.mjs, called as PROGRAM HOST PORT PATH PLAYERS SECONDS RAMP_PER_SECOND PID tcp|udp;
// --ceilingLoad one for the ceiling, whose players always come by TCP.
import { compare, here, readOptions } from './real.mjs';

const options = readOptions({ udp: { type: 'boolean', default: false }, ceilingLoad: { type: 'string' } }, '1000');
await compare(options, {
  protocol: 'mms',
  load: { program: options.load ?? here('./load-mmsp.mjs'), more: [options.udp ? 'udp' : 'tcp'] },
  losses: {
    'packets lost': ['lost', 'af_lost', 'loc_gaps'],
    'dropped by receivers': ['dropped_by_receivers'],
    wrong: ['wrong', 'af_gaps', 'bad_messages'],
  },
});
