import type { Command } from '../asf/command.js';
import { PackagedSource } from '../capture/packager.js';
import { messageOf } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { MeteredSource } from '../media/metered-source.js';
import { Rundown, type RundownEntry, type RundownStatus } from '../media/rundown.js';
import type { ScriptedSource } from '../media/scripted-source.js';
import { Sequence } from '../media/sequence.js';
import { StreamStatistics } from '../media/stream-statistics.js';
import { RepeatedWarnings } from '../receiving/repeated-warnings.js';
import { isSynthetic } from '../testing/synthetic-url.js';
import { openCopy } from './copied-inputs.js';
import type { PlannedInput } from './dry-run.js';
import { type EncodedFrames, EncodedInputs } from './encoded-inputs.js';
import type { InputOptions } from './input-model.js';
import { AirTitles, type EntryTitle } from './input-titles.js';
import { type Extent, expandInputs, isLive, isRegularFile, isUrl, type NamedInput, TEST_INPUT } from './inputs.js';
import type { Reporter } from './reporter.js';
import { scripted } from './script-option.js';

/** What the options open: a source, and what can be done to it while it runs. */
export interface OpenedInput {
  readonly source: MeteredSource;
  /** Undefined for a single input that nobody can switch. */
  readonly rundown: Rundown | undefined;
  /** Makes an input that can be switched to. */
  readonly entry: (input: string) => RundownEntry;
  /** Sends a script command, or sets a marker. @param time in ms of media from the start; default at once */
  readonly send: (command: Command, time?: number) => void;
  /** What each stream has carried. */
  readonly statistics: StreamStatistics;
  /** Frames that ffmpeg has left out or repeated to keep the frame rate; undefined without ffmpeg. */
  readonly frames: () => EncodedFrames | undefined;
  /** Inputs of which nothing was played, and why. */
  readonly failed: ReadonlyMap<string, unknown>;
}

/**
 * Opens the source that the options name.
 *
 * @param extra arguments for ffmpeg, those after `--`
 * @throws WmError WM_FFMPEG_MISSING, WM_USAGE; other errors occur when the source is read
 */
export async function openInput(
  options: InputOptions,
  extra: readonly string[],
  reporter: Reporter,
  onMarker: (text: string) => void = () => {},
): Promise<OpenedInput> {
  const { input: given = [TEST_INPUT], loop, duration, control, repeat } = options;
  const inputs = await expandInputs(given, options);
  // What is synthetic needs no encoder.
  const isCopied = (options.copy ?? false) || inputs.every(({ input }) => isSynthetic(input));
  let commands: ScriptedSource | undefined;
  const early: Command[] = [];
  const titles = new AirTitles((text) => {
    const command = { type: 'TEXT', text };
    if (commands) commands.send(command);
    else early.push(command);
  });
  const encoded = isCopied ? undefined : await EncodedInputs.find(options, extra, reporter);
  const openCopied = openCopy(options, reporter);
  const failed = new Map<string, unknown>();
  const titleOf = new WeakMap<RundownEntry, EntryTitle>();
  const entry = (input: string, listed?: string) => {
    const title = titles.entry(listed);
    const made = entryFor(input, title, { options, encoded, openCopied });
    titleOf.set(made, title);
    return made;
  };
  let rundown: Rundown | undefined;
  let source: AsfSource;
  if (switches(options) || (encoded && inputs.length > 1)) {
    rundown = new Rundown({
      entries: inputs.map(({ input, title }) => entry(input, title)),
      rounds: loop ? Number.POSITIVE_INFINITY : repeat,
      duration,
      ...stands(options, encoded),
      ...reports(reporter, failed, (on) => titles.begin(titleOf.get(on))),
    });
    source = rundown;
  } else {
    const open = ({ input, title: listed }: NamedInput, extent: Extent): AsfSource => {
      const title = titles.entry(listed);
      titles.begin(title);
      return encoded?.open(input, extent, title) ?? openCopied(input, extent);
    };
    source =
      inputs.length === 1
        ? open(inputs[0]!, { loop, duration })
        : new Sequence({
            entries: inputs.map((input) => () => open(input, {})),
            loop,
            duration,
            onSkipped: (error, index) => {
              const { input } = inputs[index]!;
              failed.set(input, error);
              reporter.warn(`${input} is skipped: ${messageOf(error)}`);
            },
          });
  }
  // Which inputs have titles is not known when the header is sent, and it must be the only one.
  const mayHaveTitles = (encoded !== undefined && inputs.length > 1) || inputs.some(({ title }) => title !== undefined);
  const hasCommands = () => control !== undefined || mayHaveTitles || (encoded?.hasTitles ?? false);
  const withCommands: ScriptedSource = await scripted(source, { options, reporter, hasTitles: hasCommands, onMarker });
  commands = withCommands;
  for (const command of early) withCommands.send(command);
  const statistics = new StreamStatistics();
  const { packager } = options;
  const packaged = packager === undefined ? withCommands : new PackagedSource(withCommands, { command: packager });
  return {
    source: new MeteredSource(packaged, {
      onBehind: (speed) => reporter.warn(slowSentence(speed, options)),
      onEvent: (event) => statistics.take(event),
    }),
    statistics,
    frames: () => encoded?.frames,
    rundown,
    entry,
    send: (command, time) => withCommands.send(command, time),
    failed,
  };
}

/**
 * Returns how the inputs would be read, without opening any that is not a file of this host.
 *
 * @throws WmError WM_FFMPEG_MISSING, WM_USAGE; WM_NO_INPUT for an empty folder or list
 */
export async function planInput(
  options: InputOptions,
  extra: readonly string[],
  reporter: Reporter,
): Promise<PlannedInput[]> {
  const { input: given = [TEST_INPUT], loop, duration } = options;
  const inputs = (await expandInputs(given, options)).map(({ input }) => input);
  if (options.copy || inputs.every(isSynthetic)) return inputs.map((input) => ({ input, command: undefined }));
  const encoded = await EncodedInputs.find({ ...options, saveProfile: undefined }, extra, reporter);
  const alone = inputs.length === 1 && !switches(options);
  const planned: PlannedInput[] = [];
  for (const input of inputs) planned.push({ input, command: await encoded.plan(input, alone, { loop, duration }) });
  return planned;
}

/** True if the options ask for something that only a rundown can do. */
function switches({ control, filler, repeat }: InputOptions): boolean {
  return control !== undefined || filler !== undefined || repeat !== undefined;
}

/** @throws WmError WM_USAGE if it cannot be copied */
function entryFor(
  input: string,
  title: EntryTitle,
  {
    options,
    encoded,
    openCopied,
  }: {
    readonly options: InputOptions;
    readonly encoded: EncodedInputs | undefined;
    readonly openCopied: (input: string, extent: Extent) => AsfSource;
  },
): RundownEntry {
  const { url: name } = takeCredentials(input);
  const live = isLive(input, options);
  return {
    name,
    live,
    // A device may be plugged in again.
    returns: live || isUrl(input),
    seekable: encoded !== undefined && options.inputFormat === undefined && isRegularFile(input),
    unclean: encoded === undefined && isUrl(input),
    open: (position) => encoded?.openOne(input, position, title) ?? openCopied(input, { paced: false }),
  };
}

/** What is shown while nothing else is there. */
function stands({ filler, control }: InputOptions, encoded: EncodedInputs | undefined) {
  if (encoded === undefined) {
    return filler === undefined ? {} : { filler: () => fileSource({ path: filler, loop: true, live: true }) };
  }
  return {
    ...(filler !== undefined && { filler: () => encoded.openFiller(filler) }),
    ...(control !== undefined && {
      still: ({ name, seekable }: RundownEntry, position: number) =>
        seekable ? encoded.openStill(name, position) : encoded.openFiller(filler ?? 'black'),
    }),
  };
}

/** Reports what is on the air, and what is not. */
function reports(reporter: Reporter, failed: Map<string, unknown>, onAir: (entry: RundownEntry) => void) {
  const warnings = new RepeatedWarnings();
  return {
    onSkipped: (error: unknown, { name }: RundownEntry) => {
      if (!failed.has(name)) failed.set(name, error);
      const text = warnings.due(name, `${name} is skipped: ${messageOf(error)}`, performance.now());
      if (text !== undefined) reporter.warn(text);
    },
    onChange: ({ state, input, number, inputs }: RundownStatus, entry: RundownEntry) => {
      if (state === 'playing') {
        onAir(entry);
        warnings.clear(input);
        failed.delete(input);
      }
      reporter.event('input', { state, input, number, of: inputs.length });
      const what = { filler: `The filler is shown; ${input} is down.`, paused: `${input} is paused.` };
      reporter.info(what[state as keyof typeof what] ?? `Playing ${input} (${number} of ${inputs.length}).`);
    },
  };
}

/** Composes the warning about a source that is too slow. */
function slowSentence(speed: number, { copy }: InputOptions): string {
  const pace = `${speed.toFixed(2)} times real time`;
  return copy
    ? `The input comes at only ${pace}; players will have to wait for it.`
    : `Encoding falls behind: it runs at only ${pace}. Take a smaller --size, a lower --fps or a lower --video-bitrate; or the input itself is this slow.`;
}

/** Formats a speed for the status line. */
export function asSpeed(speed: number | undefined): string {
  return speed === undefined ? '' : `  ${speed.toFixed(2)}x`;
}

/** Formats a speed for the event `stats`. */
export function speedField(speed: number | undefined): { readonly speed?: number } {
  return speed === undefined ? {} : { speed: Math.round(speed * 100) / 100 };
}
