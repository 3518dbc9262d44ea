import { stat } from 'node:fs/promises';
import { Command } from 'commander';
import { CommandReader } from '../asf/command-stream.js';
import { describeStreams, type StreamDescription } from '../asf/edit.js';
import type { AsfHeader } from '../asf/header.js';
import { flattenObjects } from '../asf/stream.js';
import { WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { fileSource } from '../media/file-source.js';
import { MediaTime } from '../media/media-time.js';
import { OnDemandFile } from '../media/on-demand/file.js';
import type { FileCondition } from '../media/on-demand/packet-file.js';
import { describeSource } from '../sources/local.js';
import type { SourceDescription } from '../sources/source.js';
import { StreamFacts } from '../testing/expect.js';
import { describeContent } from '../wms/content-description.js';
import { type Protection, protectionOf } from '../wms/protection.js';
import { addExpectOption, checkExpectations, type ExpectOptions, refuseMedia } from './expect-option.js';
import { addCommonOptions, Interruption } from './program.js';
import { addServerOptions, clientOptions, isServerUrl, leadsElsewhere, type ServerOptions } from './receive-options.js';
import { asClock, Reporter, type ReporterOptions, withUnit } from './reporter.js';

interface ProbeOptions extends ExpectOptions, ServerOptions, ReporterOptions {}

/** Builds `wmcast probe`. */
export function probeCommand(): Command {
  const command = new Command('probe')
    .description('Describes what is at a URL or in an ASF file, without receiving it.')
    .argument('<url|file>', 'stream or file, for example mmsh://server/live')
    .addHelpText('after', '\nExamples:\n  wmcast probe mmsh://server/live\n  wmcast probe --json film.wmv');
  return addCommonOptions(addExpectOption(addServerOptions(command))).action((from: string, options: ProbeOptions) =>
    probe(from, options),
  );
}

/** The findings to report, free of characters that would affect a terminal. */
interface Findings {
  readonly url?: string | undefined;
  readonly file?: string | undefined;
  readonly transport: string;
  readonly server?: string | undefined;
  readonly serverFeatures?: readonly string[] | undefined;
  readonly features?: readonly string[] | undefined;
  readonly cacheControl?: readonly string[] | undefined;
  readonly live: boolean;
  readonly playlistEntry?: number | undefined;
  /** Address and port of the multicast group that packets are sent to. */
  readonly group?: string | undefined;
  readonly bandwidth?: number | undefined;
  /** Seconds; undefined for a live stream. */
  readonly duration?: number | undefined;
  readonly size?: number | undefined;
  readonly packets?: number | undefined;
  /** For a file: packets that the header promises but the file lacks. */
  readonly missingPackets?: number | undefined;
  /** What is unusual about a file, one clause each. */
  readonly notes?: readonly string[] | undefined;
  readonly packetSize: number;
  /** ms */
  readonly preroll: number;
  readonly bitsPerSecond: number;
  readonly streams: ReadonlyArray<StreamDescription & { readonly chosen: boolean }>;
  /** Sets of streams of which only one is sent at a time. */
  readonly exclusive: ReadonlyArray<readonly number[]>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the header, and for a file also those between its packets; `seconds` from the start. */
  readonly commands: readonly TimedText[];
  /** Chapters. */
  readonly markers: readonly TimedText[];
  /** What the header says about its protection; undefined if it is not protected. */
  readonly protection?: Protection | undefined;
}

interface TimedText {
  readonly seconds: number;
  readonly type?: string;
  readonly text: string;
}

async function probe(from: string, options: ProbeOptions): Promise<void> {
  const reporter = new Reporter(options);
  const interruption = new Interruption();
  interruption.signal.addEventListener('abort', () => process.exit(interruption.exitCode));
  const isFile = !isServerUrl(from) && !(await leadsElsewhere(from));
  const facts = new StreamFacts();
  if (!isFile) refuseMedia(options);
  const findings = isFile ? await probeFile(from) : await probeServer(from, options, reporter, facts);
  if (isFile && options.expect) for await (const event of fileSource({ path: from })) facts.take(event);
  if (reporter.json) reporter.event('probe', { ...findings });
  else reporter.print(inWords(findings));
  checkExpectations(options, facts, reporter);
}

async function probeServer(
  url: string,
  options: ProbeOptions,
  reporter: Reporter,
  facts: StreamFacts,
): Promise<Findings> {
  const description = await describeSource(takeCredentials(url).url, clientOptions(url, options, reporter));
  const { header, metadata, live, group } = description;
  facts.take({ type: 'header', header });
  const chosen = description.chosen ?? allStreams(header);
  return {
    url: description.url,
    transport: description.transport,
    server: description.server?.text,
    serverFeatures: description.supported && [...description.supported],
    features: description.features,
    cacheControl: description.cacheControl,
    playlistEntry: description.playlistGenId || undefined,
    group: group && `${group.address}:${group.port}`,
    bandwidth: description.bandwidth,
    ...ofHeader(header, live, chosen),
    metadata: { ...textsOf(header), ...serverTexts(metadata) },
  };
}

function serverTexts(metadata: SourceDescription['metadata']): Record<string, string> {
  return Object.fromEntries((metadata?.descriptions ?? []).map(({ name, value }) => [name, value]));
}

/** Combines the header of a file with what a server measures. */
async function probeFile(path: string): Promise<Findings> {
  const header = await readHeader(path);
  const findings = {
    file: path,
    transport: 'file',
    ...ofHeader(header, false, allStreams(header)),
    metadata: textsOf(header),
  };
  if (!(await isRegularFile(path))) return findings;
  const commands = [...findings.commands, ...(await commandsBetweenPackets(path, header))];
  return { ...findings, ...(await measured(path)), commands };
}

async function readHeader(path: string): Promise<AsfHeader> {
  const source = fileSource({ path });
  try {
    for await (const event of source) if (event.type === 'header') return event.header;
  } finally {
    await source.close();
  }
  throw new WmError('WM_BAD_INPUT', `${path} contains no ASF header.`);
}

const isRegularFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

type Measured = Pick<Findings, 'duration' | 'size' | 'packets' | 'packetSize' | 'preroll' | 'missingPackets' | 'notes'>;

/** The most recordings in a file that are measured. */
const MAX_ENTRIES = 1000;

/** Measures a file as a server would: what players would get. */
async function measured(path: string): Promise<Partial<Measured>> {
  const file = await OnDemandFile.open(path).catch((error: unknown) => {
    if (error instanceof WmError && error.code === 'WM_BAD_INPUT') return error;
    throw error;
  });
  if (file instanceof WmError) return { duration: 0, packets: 0, notes: ['no packet can be read'] };
  const first = { ...partOf(file), size: file.size, preroll: file.header.preroll };
  const others = await followingParts(file);
  const sum = (of: (part: MeasuredPart) => number) => [first, ...others].reduce((total, part) => total + of(part), 0);
  const notes = others.flatMap((part, index) => part.notes.map((note) => `entry ${index + 2}: ${note}`));
  return {
    ...first,
    duration: Math.round(sum((part) => part.duration * 1000)) / 1000,
    packets: sum((part) => part.packets),
    missingPackets: sum((part) => part.missingPackets),
    notes: [...first.notes, ...joinedNotes(others.length), ...notes],
  };
}

type MeasuredPart = ReturnType<typeof partOf>;

function partOf(file: OnDemandFile) {
  const condition = file.condition!;
  const { packets, promised = packets, packetSize } = condition;
  const missingPackets = Math.max(promised - packets, 0);
  const notes = notesOf(condition, missingPackets, file.packetSize);
  return { duration: file.durationMs / 1000, packets, packetSize, missingPackets, notes };
}

/** Measures what follows in the file and has other streams; closes the file. */
async function followingParts(file: OnDemandFile): Promise<MeasuredPart[]> {
  const parts: MeasuredPart[] = [];
  let last = file;
  try {
    while (last.next !== undefined && parts.length < MAX_ENTRIES) {
      const next = await OnDemandFile.open(file.path, { at: last.next });
      await last.close();
      last = next;
      parts.push(partOf(last));
    }
  } catch (error) {
    if (!(error instanceof WmError)) throw error;
  } finally {
    await last.close();
  }
  return parts;
}

function joinedNotes(others: number): string[] {
  if (others === 0) return [];
  const them = others === 1 ? 'another recording' : `${others} other recordings`;
  return [`${them} with other streams or another packet size follow${others === 1 ? 's' : ''}, played as entries`];
}

/** Lists what is unusual about a file. */
function notesOf(condition: FileCondition, missing: number, servedSize: number): string[] {
  const { promised = 0, cut, unfinished, recordings, startsAt, packetSize } = condition;
  const percent = Math.max(1, Math.round((100 * missing) / promised));
  const notes: ReadonlyArray<readonly [isSo: boolean, note: string]> = [
    [missing > 0, `the last ${missing} of ${promised} packets (${percent} %) are missing`],
    [cut, 'the last packet is not whole'],
    [unfinished, 'the header gives a wrong length: the recording was not finished, or is still going on'],
    [recordings > 1, `${recordings} recordings that were joined, played as one`],
    [startsAt !== 0, `its times begin at ${asClock(Math.abs(startsAt) / 1000)}; players get them from 0 on`],
    [servedSize !== packetSize, `players get its packets split into packets of ${servedSize} bytes`],
  ];
  return notes.filter(([isSo]) => isSo).map(([, note]) => note);
}

function allStreams(header: AsfHeader): ReadonlySet<number> {
  return new Set(header.streams.map(({ number }) => number));
}

function ofHeader(header: AsfHeader, live: boolean, chosen: ReadonlySet<number>) {
  const { fileProperties: file, packetSize, preroll, dataObject } = header;
  const streams = describeStreams(header).map((stream) => ({ ...stream, chosen: chosen.has(stream.number) }));
  const wanted = streams.filter((stream) => stream.chosen);
  return {
    live,
    duration: live ? undefined : Math.max(Number(file.playDuration) / 1e7 - preroll / 1000, 0),
    size: live ? undefined : Number(file.fileSize),
    packets: live ? undefined : Number(dataObject.packetCount),
    packetSize,
    preroll,
    bitsPerSecond: wanted.reduce((sum, { bitrate }) => sum + bitrate, 0),
    streams,
    commands: commandsOf(header),
    markers: markersOf(header),
    protection: protectionOf(header),
    exclusive: flattenObjects(header.objects).flatMap((object) =>
      object.type === 'bitrateMutualExclusion' || object.type === 'advancedMutualExclusion'
        ? [object.streamNumbers]
        : [],
    ),
  };
}

function commandsOf({ objects, preroll }: AsfHeader): TimedText[] {
  return flattenObjects(objects).flatMap((object) =>
    object.type === 'scriptCommand'
      ? object.commands.map(({ presentationTime, typeIndex, name }) => ({
          seconds: Math.max(0, presentationTime - preroll) / 1000,
          type: object.commandTypes[typeIndex] ?? '',
          text: name,
        }))
      : [],
  );
}

function markersOf({ objects, preroll }: AsfHeader): TimedText[] {
  return flattenObjects(objects).flatMap((object) =>
    object.type === 'marker'
      ? object.markers.map(({ presentationTime, description }) => ({
          seconds: Math.max(0, Number(presentationTime / 10_000n) - preroll) / 1000,
          text: description,
        }))
      : [],
  );
}

/** Reads a whole file for its script commands, if its header has a stream of them. */
async function commandsBetweenPackets(path: string, header: AsfHeader): Promise<TimedText[]> {
  if (!header.streams.some(({ type }) => type === 'command')) return [];
  const found: TimedText[] = [];
  const reader = new CommandReader(header);
  const media = new MediaTime();
  for await (const event of fileSource({ path })) {
    media.count(event);
    if (event.type !== 'packet') continue;
    for (const { type, text } of reader.read(event.packet))
      found.push({ seconds: media.milliseconds / 1000, type, text });
  }
  return found;
}

/** Returns the Content Description and the Extended Content Description, as far as they are text or numbers. */
function textsOf(header: AsfHeader): Record<string, string> {
  const texts: Array<readonly [string, string]> = [...describeContent(header)];
  for (const object of flattenObjects(header.objects)) {
    if (object.type !== 'extendedContentDescription') continue;
    for (const { name, value } of object.descriptors) {
      const text = 'value' in value ? value.value : undefined;
      if (
        typeof text === 'string' ||
        typeof text === 'number' ||
        typeof text === 'boolean' ||
        typeof text === 'bigint'
      ) {
        texts.push([name, String(text)]);
      }
    }
  }
  return Object.fromEntries(texts);
}

/** Replaces control characters, which would affect the terminal. */
function shown(text: string): string {
  return text.replace(/\p{C}/gu, '?').slice(0, 300);
}

/** Longer names of metadata move their value to the right. */
const MAX_LABEL = 40;

function inWords(findings: Findings): string {
  const { server, duration, size, packets, streams, metadata } = findings;
  const lines: Array<readonly [label: string, text: string | undefined]> = [
    ['URL', findings.url],
    ['File', findings.file],
    ['Server', findings.transport === 'http' ? `plain ASF over HTTP${server ? ` from ${server}` : ''}` : server],
    ['Server can', findings.serverFeatures?.join(', ')],
    ['Features', findings.features?.join(', ')],
    ['Cache', findings.cacheControl?.join(', ')],
    ['Playlist entry', findings.playlistEntry?.toString()],
    ['Group', findings.group],
    ['Bandwidth', findings.bandwidth === undefined ? undefined : `${withUnit(findings.bandwidth, 'bit/s')} (measured)`],
    ['Kind', findings.live ? 'live' : 'on demand'],
    ['Duration', duration === undefined ? undefined : asClock(duration)],
    ['Size', size === undefined ? undefined : `${withUnit(size, 'B')}, ${packets} packets`],
    ['Packets', `${findings.packetSize} B each, preroll ${findings.preroll} ms`],
    ['Bit rate', withUnit(findings.bitsPerSecond, 'bit/s')],
    ...(findings.notes ?? []).map((note) => ['Note', note] as const),
    ...streams.map((stream) => [`Stream ${stream.number}`, streamInWords(stream)] as const),
    ...protectionInWords(findings.protection),
    ...findings.exclusive.map((numbers) => ['One of', numbers.join(', ')] as const),
    ...findings.markers.map(({ seconds, text }) => ['Marker', `${asClock(seconds)} ${text}`] as const),
    ...findings.commands.map(({ seconds, type, text }) => ['Command', `${asClock(seconds)} ${type} ${text}`] as const),
    ...Object.entries(metadata).map(([name, value]) => [shown(name), value] as const),
  ];
  const known = lines.filter(([, text]) => text !== undefined && text !== '');
  const width = Math.min(MAX_LABEL, Math.max(...known.map(([label]) => label.length)));
  return known.map(([label, text]) => `${label.padEnd(width)}  ${shown(text!)}`).join('\n');
}

function protectionInWords(protection: Protection | undefined): Array<readonly [string, string]> {
  if (!protection) return [];
  const { systems, licenseUrls, keyIds, signed } = protection;
  return [
    ['Protection', [...systems, ...(signed ? ['signed'] : [])].join(', ')],
    ...licenseUrls.map((url) => ['Licence', url] as const),
    ...keyIds.map((id) => ['Key', id] as const),
  ];
}

function streamInWords(stream: Findings['streams'][number]): string {
  const parts = [
    stream.type === 'command' ? 'script commands' : `${stream.type} ${stream.codec}`,
    stream.width === undefined ? undefined : `${stream.width}x${stream.height}`,
    stream.framesPerSecond === undefined ? undefined : `${stream.framesPerSecond} fps`,
    stream.samplesPerSecond === undefined ? undefined : `${stream.samplesPerSecond} Hz`,
    stream.channels === undefined ? undefined : `${stream.channels} ${stream.channels === 1 ? 'channel' : 'channels'}`,
    stream.bitrate === 0 ? undefined : withUnit(stream.bitrate, 'bit/s'),
    stream.language,
    stream.encrypted ? 'encrypted' : undefined,
    stream.hidden ? 'hidden' : undefined,
    stream.chosen ? undefined : 'not taken',
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}
