import { WmError } from '../errors.js';

/**
 * Where a fault acts: on the packets of a stream, on the frames of the wire (`$D` and the like), on the bytes that a
 * connection sends, or on the answers to requests.
 *
 * @public
 */
export type FaultHook = 'packets' | 'wire' | 'output' | 'requests';

/** One fault of a plan. @public */
export interface Fault {
  readonly name: FaultName;
  /** How often, from 0 to 1; or every n-th. */
  readonly chance?: number | undefined;
  readonly every?: number | undefined;
  /** A count of packets, bytes or milliseconds, a rate or a status, by the fault. */
  readonly amount?: number | undefined;
  /** True if `amount` counts bytes where it usually counts packets. */
  readonly bytes?: boolean | undefined;
  /** In ms. */
  readonly time?: number | undefined;
}

/** Faults to commit, and the seed that decides when. @public */
export interface FaultPlan {
  readonly seed: number;
  /** The only connection to which faults of frames and bytes are done, counted from 1; undefined for all. */
  readonly connection?: number | undefined;
  readonly faults: readonly Fault[];
}

/** A row of {@link faultTable}. @public */
export interface FaultKind {
  readonly hook: FaultHook;
  /** How its value is written. */
  readonly form: string;
  /** What it does to the bytes. */
  readonly does: string;
}

const kinds = {
  lose: { hook: 'packets', form: '5% or 1/20', does: 'leaves out data packets' },
  duplicate: { hook: 'packets', form: '5% or 1/20', does: 'sends data packets twice' },
  reorder: { hook: 'packets', form: '5% or 1/20', does: 'sends data packets after the next one' },
  delay: { hook: 'packets', form: '5%:300ms', does: 'sends data packets when this much more of the media was sent' },
  corrupt: { hook: 'packets', form: '5% or 1/20', does: 'changes one to eight bytes of data packets' },
  jump: { hook: 'packets', form: '100:10s or 100:-10s', does: 'adds a time to all times from the 100th packet on' },
  header: { hook: 'packets', form: '100', does: 'sends another header after each 100 packets, as a new entry' },
  lengths: {
    hook: 'wire',
    form: '5% or 1/20',
    does: 'writes the length of data frames 1 to 64 too large or too small',
  },
  flags: { hook: 'wire', form: '5% or 1/20', does: 'changes the flags of data frames' },
  locations: { hook: 'wire', form: '5% or 1/20', does: 'changes the number of data frames' },
  change: {
    hook: 'wire',
    form: '100',
    does: 'announces another stream, which does not follow, after each 100 data frames',
  },
  'no-end': { hook: 'wire', form: '', does: 'never says that a stream ends' },
  'cut-header': { hook: 'wire', form: '20', does: 'leaves out the last 20 bytes of each header' },
  cut: {
    hook: 'output',
    form: '100 or 64kB',
    does: 'breaks the connection after 100 data frames, or after 64000 bytes',
  },
  stall: { hook: 'output', form: '100, 64kB or 100:5s', does: 'sends nothing more from there, for 5 s or for ever' },
  slow: { hook: 'output', form: '64k', does: 'sends no more than 64 kbit/s' },
  refuse: { hook: 'requests', form: '503, 503:10% or 404:1/3', does: 'answers requests with the status' },
} as const satisfies Readonly<Record<FaultName, FaultKind>>;

/** @public */
export type FaultName =
  | 'lose'
  | 'duplicate'
  | 'reorder'
  | 'delay'
  | 'corrupt'
  | 'jump'
  | 'header'
  | 'lengths'
  | 'flags'
  | 'locations'
  | 'change'
  | 'no-end'
  | 'cut-header'
  | 'cut'
  | 'stall'
  | 'slow'
  | 'refuse';

/** Every fault by name. @public */
export const faultTable: Readonly<Record<FaultName, FaultKind>> = kinds;

/** What a value may consist of, by its form. */
const FORMS: Readonly<Record<FaultName, (value: string) => Omit<Fault, 'name'>>> = {
  lose: often,
  duplicate: often,
  reorder: often,
  corrupt: often,
  lengths: often,
  flags: often,
  locations: often,
  delay: (value) => {
    const [how = '', time = ''] = value.split(':');
    return { ...often(how), time: duration(time) };
  },
  jump: (value) => {
    const [from = '', time = ''] = value.split(':');
    return { amount: count(from), time: time.startsWith('-') ? -duration(time.slice(1)) : duration(time) };
  },
  header: (value) => ({ amount: count(value) }),
  change: (value) => ({ amount: count(value) }),
  'cut-header': (value) => ({ amount: count(value) }),
  'no-end': (value) => {
    if (value !== '') throw new Error('it takes no value');
    return {};
  },
  cut: place,
  stall: (value) => {
    const [from = '', time] = value.split(':');
    return { ...place(from), ...(time !== undefined && { time: duration(time) }) };
  },
  slow: (value) => ({ amount: rate(value) }),
  refuse: (value) => {
    const [status = '', how] = value.split(':');
    if (!/^[45]\d\d$/.test(status)) throw new Error('it takes a status from 400 to 599');
    return { amount: Number(status), ...(how === undefined ? { chance: 1 } : often(how)) };
  },
};

/**
 * Parses faults: names with their values and commas between them, `seed=7`, `connection=2`.
 *
 * @param text for example `lose=5%,seed=7`
 * @throws WmError WM_USAGE that names the fault and what it takes
 * @public
 */
export function parseFaults(text: string): FaultPlan {
  const faults: Fault[] = [];
  let seed = 1;
  let connection: number | undefined;
  for (const part of text.split(',').map((each) => each.trim())) {
    const [name = '', ...rest] = part.split('=');
    const value = rest.join('=');
    try {
      if (name === 'seed') seed = whole(value);
      else if (name === 'connection') connection = count(value);
      else if (Object.hasOwn(FORMS, name)) faults.push({ name: name as FaultName, ...FORMS[name as FaultName](value) });
      else throw new Error(`it may be ${Object.keys(kinds).join(', ')}`);
    } catch (error) {
      const form = Object.hasOwn(kinds, name) ? kinds[name as FaultName].form : '';
      const example = form === '' ? '' : ` (${name}=${form})`;
      throw new WmError('WM_USAGE', `--fault "${part}": ${(error as Error).message}${example}.`);
    }
  }
  if (faults.length === 0)
    throw new WmError('WM_USAGE', `--fault "${text}" names no fault; write for example lose=5%.`);
  return { seed, connection, faults };
}

/** Returns the faults of a plan that act at some hooks. */
export function faultsAt(plan: FaultPlan, ...hooks: readonly FaultHook[]): Fault[] {
  return plan.faults.filter(({ name }) => hooks.includes(kinds[name].hook));
}

/** True with the frequency of a fault. @param count how many there were before */
export function strikes(fault: Fault, count: number, random: { happens(probability: number): boolean }): boolean {
  if (fault.every !== undefined) return (count + 1) % fault.every === 0;
  return random.happens(fault.chance ?? 1);
}

function often(text: string): { chance: number } | { every: number } {
  const [, percent] = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text) ?? [];
  if (percent !== undefined && Number(percent) <= 100) return { chance: Number(percent) / 100 };
  const [, every] = /^1\/([1-9]\d{0,6})$/.exec(text) ?? [];
  if (every !== undefined) return { every: Number(every) };
  throw new Error('it takes a share of the packets');
}

function place(text: string): { amount: number; bytes?: true } {
  const [, bytes] = /^(\d{1,9}) ?(?:kB|KB)$/.exec(text) ?? [];
  if (bytes !== undefined) return { amount: Number(bytes) * 1000, bytes: true };
  const [, exact] = /^(\d{1,9}) ?B$/.exec(text) ?? [];
  if (exact !== undefined) return { amount: Number(exact), bytes: true };
  return { amount: count(text) };
}

function whole(text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new Error('it takes a whole number');
  return Number(text);
}

function count(text: string): number {
  const value = whole(text);
  if (value === 0) throw new Error('it takes a whole number above 0');
  return value;
}

function duration(text: string): number {
  const [, digits, unit] = /^(\d{1,7}(?:\.\d+)?)(ms|s)$/.exec(text) ?? [];
  if (digits === undefined) throw new Error('it takes a time such as 300ms or 5s');
  return Math.round(Number(digits) * (unit === 's' ? 1000 : 1));
}

function rate(text: string): number {
  const [, digits, unit] = /^(\d{1,7}(?:\.\d+)?)([kM]?)$/.exec(text) ?? [];
  const value = Math.round(Number(digits) * (unit === 'k' ? 1000 : unit === 'M' ? 1_000_000 : 1));
  if (!(value >= 1000)) throw new Error('it takes bits per second, such as 64k');
  return value;
}
