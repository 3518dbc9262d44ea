import type { MsbdPort } from '../server/msbd.js';
import { portNumber } from './program.js';

/** A parser for `--msbd-port`: 0 takes a free port. */
export function parseMsbdPort(text: string): MsbdPort {
  return text === 'none' ? 'none' : portNumber(text);
}
