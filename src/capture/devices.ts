/** An input device of this host. @public */
export interface CaptureDevice {
  /** The format that ffmpeg needs, for `--input-format`. */
  readonly format: string;
  /** What ffmpeg opens, for `--input`. */
  readonly input: string;
  /** For people. */
  readonly name: string;
  /** Undefined if the system does not say. */
  readonly kind?: 'video' | 'audio' | undefined;
}

/** What one format of devices has. @public */
export interface DeviceList {
  readonly format: string;
  readonly devices: readonly CaptureDevice[];
  /** Why there are none, as a sentence. */
  readonly problem?: string | undefined;
}

/** The formats of devices on each platform. */
const FORMATS: Readonly<Partial<Record<NodeJS.Platform, readonly string[]>>> = {
  linux: ['v4l2', 'alsa', 'pulse'],
  darwin: ['avfoundation'],
  win32: ['dshow'],
};
/** How the devices of a format are called. */
const WHAT: Readonly<Record<string, string>> = {
  v4l2: 'camera or capture card',
  alsa: 'sound card (ALSA)',
  pulse: 'source of PulseAudio or PipeWire',
  avfoundation: 'camera or microphone',
  dshow: 'camera or microphone',
};
/** How long a list may take, in ms: a sound server may not answer. */
const TIMEOUT = 8_000;

/** Returns the formats of devices that this platform has. */
export function deviceFormats(platform: NodeJS.Platform = process.platform): readonly string[] {
  return FORMATS[platform] ?? [];
}

/**
 * Lists the devices that ffmpeg can capture from. Never throws.
 *
 * @param ffmpeg its path
 * @param formats as ffmpeg calls them; default those of this platform
 */
export async function listDevices(
  ffmpeg: string,
  formats: readonly string[] = deviceFormats(),
): Promise<readonly DeviceList[]> {
  const known = demuxers((await run(ffmpeg, ['-devices'])).stdout);
  const list = async (format: string): Promise<DeviceList> => {
    if (!known.has(format)) {
      return { format, devices: [], problem: `This ffmpeg lacks the format ${format} (${ffmpeg}).` };
    }
    const { stdout, stderr, timedOut } = await run(ffmpeg, argumentsFor(format));
    const devices = readDevices(format, `${stdout}\n${stderr}`);
    if (devices.length > 0) return { format, devices };
    const why = timedOut ? `ffmpeg has not answered for ${TIMEOUT / 1000} s` : reasonIn(`${stdout}\n${stderr}`);
    const problem = `No ${WHAT[format] ?? 'device'} was found${why === undefined ? '' : `: ${why}`}.`;
    return { format, devices: [], problem };
  };
  return Promise.all(formats.map(list));
}

function argumentsFor(format: string): string[] {
  // These two print their lists as an error, and open nothing.
  if (format === 'dshow') return ['-list_devices', 'true', '-f', 'dshow', '-i', 'dummy'];
  if (format === 'avfoundation') return ['-f', 'avfoundation', '-list_devices', 'true', '-i', ''];
  return ['-sources', format];
}

/** Reads ffmpeg's list of the devices of a format. Exported for tests. */
export function readDevices(format: string, text: string): CaptureDevice[] {
  if (format === 'dshow') return readDshow(text);
  return format === 'avfoundation' ? readAvfoundation(text) : readSources(format, text);
}

/** Lines such as `* /dev/video0 [USB Camera] (video)` after `Auto-detected sources for …`. */
function readSources(format: string, text: string): CaptureDevice[] {
  const kind = format === 'v4l2' ? 'video' : 'audio';
  return text.split(/\r?\n/).flatMap((line) => {
    const [, input, name] = /^[* ] (\S+) \[(.*)\](?: \([\w, ]*\))?$/.exec(line) ?? [];
    // ALSA always has a device that gives nothing.
    if (input === undefined || (format === 'alsa' && input === 'null')) return [];
    return [{ format, input, name: name === '' ? input : name!, kind }];
  });
}

/** Lines such as `[dshow @ 0x1] "Integrated Camera" (video)`; before ffmpeg 5 the kinds are headlines. */
function readDshow(text: string): CaptureDevice[] {
  const devices: CaptureDevice[] = [];
  let headline: CaptureDevice['kind'];
  for (const line of text.split(/\r?\n/)) {
    if (line.includes('DirectShow video devices')) headline = 'video';
    if (line.includes('DirectShow audio devices')) headline = 'audio';
    if (line.includes('Alternative name')) continue;
    const [, name, said] = /^\[dshow[^\]]*\] {1,8}"([^"]+)"(?: \(([^)]*)\))?$/.exec(line) ?? [];
    const own = said?.split(',', 1)[0];
    const kind = own === 'video' || own === 'audio' ? own : headline;
    if (name !== undefined) devices.push({ format: 'dshow', input: `${kind ?? 'video'}=${name}`, name, kind });
  }
  return devices;
}

/** Lines such as `[AVFoundation indev @ 0x1] [0] FaceTime HD Camera` after a headline for each kind. */
function readAvfoundation(text: string): CaptureDevice[] {
  const devices: CaptureDevice[] = [];
  let kind: CaptureDevice['kind'];
  for (const line of text.split(/\r?\n/)) {
    if (line.includes('AVFoundation video devices')) kind = 'video';
    if (line.includes('AVFoundation audio devices')) kind = 'audio';
    const [, index, name] = /\] \[(\d{1,3})\] (.+)$/.exec(line) ?? [];
    if (index === undefined || kind === undefined) continue;
    devices.push({ format: 'avfoundation', input: kind === 'video' ? index : `:${index}`, name: name!, kind });
  }
  return devices;
}

function reasonIn(text: string): string | undefined {
  const start = 'Cannot list sources';
  const line = text.split(/\r?\n/).find((each) => each.startsWith(start));
  return line
    ?.slice(start.length)
    .replace(/^[:.] ?/, '')
    .replace(/\.$/, '');
}

/** Reads the names of formats that can be read, some of which have several. */
function demuxers(list: string): Set<string> {
  const names = new Set<string>();
  for (const line of list.split('\n')) {
    const column = /^ D[ E] (\S+)/.exec(line)?.[1];
    for (const name of column?.split(',') ?? []) names.add(name);
  }
  return names;
}

async function run(ffmpeg: string, args: readonly string[]) {
  const { execa } = await import('execa');
  const { stdout, stderr, timedOut } = await execa(ffmpeg, ['-hide_banner', ...args], {
    reject: false,
    stdin: 'ignore',
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
    maxBuffer: 1024 * 1024,
  });
  return { stdout: String(stdout ?? ''), stderr: String(stderr ?? ''), timedOut };
}
