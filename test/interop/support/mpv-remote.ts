import { Child, PATIENCE, readLines } from './child.js';
import { Player } from './player.js';

/** A line that mpv sends over its remote control. */
type MpvMessage = Readonly<Record<string, unknown>>;

const PROPERTIES = ['time-pos', 'demuxer-cache-duration', 'pause'] as const;
type Property = (typeof PROPERTIES)[number];

/** mpv as a person uses it: at the speed of its clock, with a remote control, and a checksum for each picture. */
export class MpvRemote extends Player {
  protected readonly child: Child;
  /** A checksum of each picture, as in ffmpeg's framecrc, and its time in seconds. */
  readonly pictures: string[] = [];
  readonly times: number[] = [];
  readonly #values = new Map<string, unknown>();
  #end: string | undefined;

  /** @param options of mpv, such as `--start` */
  constructor(url: string, options: readonly string[] = []) {
    super('mpv with remote control');
    const quiet = ['--no-config', '--no-input-default-bindings', '--msg-level=all=warn,ffmpeg=v'];
    const output = ['--vo=null', '--ao=null', '--framedrop=no', '--vf=lavfi=[showinfo]'];
    this.child = new Child('mpv', [...quiet, ...output, '--input-ipc-client=fd://3', ...options, url], {
      control: true,
      onOutput: (line) => this.#take(line),
    });
    const { control } = this.child;
    control.on('error', () => {});
    readLines(control, (line) => this.#hear(JSON.parse(line) as MpvMessage));
    for (const [index, name] of PROPERTIES.entries()) this.#command('observe_property', index + 1, name);
  }

  get frames(): number {
    return this.pictures.length;
  }

  /** Where it sends the sound, which is not counted. */
  get soundSeconds(): number {
    return 0;
  }

  get problems(): string[] {
    const complaints = /error|invalid|corrupt|concealing|failed/i;
    return [...this.child.output, ...this.child.log].filter(
      (line) => complaints.test(line) && !/showinfo|Stream ended|Input\/output error/.test(line),
    );
  }

  /** The reason why playing ended, in mpv's words: `eof`, `error`, … */
  get endReason(): string | undefined {
    return this.#end;
  }

  /** The last reported value of a property. */
  value(name: Property): unknown {
    return this.#values.get(name);
  }

  set(name: Property, value: unknown): void {
    this.#command('set_property', name, value);
  }

  /** Waits until a property has a matching value. @throws Error if it ends before, or after `timeout` ms */
  async until(name: Property, fits: (value: unknown) => boolean, timeout = PATIENCE): Promise<void> {
    const found = () => (fits(this.#values.get(name)) ? true : undefined);
    await this.child.until(`${name}, which is ${String(this.#values.get(name))}`, found, timeout);
  }

  #command(...command: unknown[]): void {
    this.child.control.write(`${JSON.stringify({ command })}\n`);
  }

  #hear({ event, name, data, reason }: MpvMessage): void {
    if (event === 'property-change') this.#values.set(String(name), data);
    if (event === 'end-file') this.#end = String(reason);
    this.child.notify();
  }

  #take(line: string): void {
    const picture = /Parsed_showinfo.* pts_time:([\d.]+) .* checksum:([\dA-F]{8}) /.exec(line);
    if (!picture) return;
    this.times.push(Number(picture[1]));
    this.pictures.push(`0x${picture[2]!.toLowerCase()}`);
  }
}
