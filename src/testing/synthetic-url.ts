import { WmError } from '../errors.js';
import type { PacketLayout } from './packetizer.js';
import type { SyntheticOptions } from './synthetic.js';

const PREFIX = /^\s*synthetic:/i;

/** True for the name of a synthetic stream, such as `synthetic:seed=7,video=300k`. */
export function isSynthetic(text: string): boolean {
  return PREFIX.test(text);
}

type Changes = Partial<SyntheticOptions> & { layout?: PacketLayout };
type Setting = (value: string) => Changes;

const field =
  (name: keyof PacketLayout, sizes: readonly number[]): Setting =>
  (value) => {
    const size = Number(value);
    if (value === '' || !sizes.includes(size)) throw new WmError('WM_USAGE', `it takes ${sizes.join(', ')}`);
    return { layout: { [name]: size } };
  };
const number =
  (name: keyof SyntheticOptions, least: number, most: number, isWhole = true): Setting =>
  (text) => {
    const value = Number(text);
    if (text === '' || !(value >= least && value <= most) || (isWhole && !Number.isInteger(value))) {
      throw new WmError('WM_USAGE', `it takes a number from ${least} to ${most}`);
    }
    return { [name]: value };
  };
const flag =
  (make: (on: boolean) => Changes): Setting =>
  (value) => {
    if (value !== '' && value !== 'yes' && value !== 'no') throw new WmError('WM_USAGE', 'it takes yes or no');
    return make(value !== 'no');
  };

/** Parses bits per second from `300k`, `1.5M` or `64000`. */
function rate(text: string): number {
  const [, digits, unit] = /^(\d+(?:\.\d+)?)([kM]?)$/.exec(text) ?? [];
  const value = Math.round(Number(digits) * (unit === 'k' ? 1000 : unit === 'M' ? 1_000_000 : 1));
  if (!(value >= 0 && value <= 100_000_000)) throw new WmError('WM_USAGE', 'it takes bits per second, such as 300k');
  return value;
}

/** The settings of a name, in the order of the documentation. */
const SETTINGS: Readonly<Record<string, Setting>> = {
  seed: number('seed', 0, 0xffff_ffff),
  duration: number('duration', 0.001, 1e9, false),
  video: (text) => ({
    video: text
      .split('/')
      .map(rate)
      .filter((each) => each > 0),
  }),
  audio: (text) => ({ audio: rate(text) }),
  fps: number('fps', 1, 1000, false),
  gop: number('gop', 1, 100_000),
  size: (text) => {
    const [, width, height] = /^(\d{1,4})x(\d{1,4})$/.exec(text) ?? [];
    if (width === undefined) throw new WmError('WM_USAGE', 'it takes a size such as 640x360');
    return { size: { width: Number(width), height: Number(height) } };
  },
  commands: flag((commands) => ({ commands })),
  packet: number('packetSize', 200, 65_000),
  preroll: number('preroll', 0, 60_000),
  title: (title) => ({ title }),
  payloads: (text) => {
    const forms = ['multiple', 'single', 'compressed'] as const;
    const form = forms.find((each) => each === text);
    if (!form) throw new WmError('WM_USAGE', `it takes ${forms.join(', ')}`);
    return { layout: { payloads: form } };
  },
  'error-correction': flag((errorCorrection) => ({ layout: { errorCorrection } })),
  padded: flag((padded) => ({ layout: { padded } })),
  sequence: field('sequence', [0, 1, 2, 4]),
  'packet-length': field('packetLength', [0, 1, 2, 4]),
  padding: field('padding', [1, 2, 4]),
  'object-number': field('objectNumber', [1, 2, 4]),
  offset: field('offset', [2, 4]),
  'replicated-length': field('replicatedLength', [1, 2, 4]),
  'payload-length': field('payloadLength', [1, 2, 4]),
  extension: field(
    'extension',
    Array.from({ length: 65 }, (_, size) => size),
  ),
};

/**
 * Parses the name of a synthetic stream: `synthetic:` and settings with commas between them.
 *
 * @throws WmError WM_USAGE that names the setting and what it takes
 * @public
 */
export function parseSynthetic(text: string): SyntheticOptions {
  let options: Changes = {};
  const settings = text.replace(PREFIX, '').split(',');
  for (const part of settings.map((each) => each.trim()).filter((each) => each !== '')) {
    const [name = '', ...rest] = part.split('=');
    const setting = Object.hasOwn(SETTINGS, name) ? SETTINGS[name] : undefined;
    if (!setting) {
      throw new WmError('WM_USAGE', `"${name}" in ${text} is unknown; it may be ${Object.keys(SETTINGS).join(', ')}.`);
    }
    try {
      const { layout, ...changes } = setting(rest.join('='));
      options = { ...options, ...changes, layout: { ...options.layout, ...layout } };
    } catch (error) {
      if (!(error instanceof WmError)) throw error;
      throw new WmError('WM_USAGE', `"${part}" in ${text}: ${error.message}.`);
    }
  }
  if (options.video?.length === 0 && options.audio === 0) {
    throw new WmError('WM_USAGE', `${text} has neither video nor audio.`);
  }
  return options;
}
