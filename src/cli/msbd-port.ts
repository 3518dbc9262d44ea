import type { MsbdPort } from '../server/listeners/msbd.js';
import { portNumber } from './program.js';

/** Parses `--msbd-port`; 0 picks a free port. */
export function parseMsbdPort(text: string): MsbdPort {
  return text === 'none' ? 'none' : portNumber(text);
}
