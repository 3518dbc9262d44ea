import type { Field } from '../http/message.js';
import type { Program } from '../playback/content.js';
import type { Entry, FileEntry } from '../playback/entry.js';
import type { Pace } from '../playback/pace.js';
import { choiceOf, predicted, type StreamSelection } from '../playback/selection.js';
import { type Handling, playableHeader, plOffset, selectionOf, supportedBy } from './handling.js';
import { changePacket } from './packets.js';
import { choosePosition, grantPace, limitOf, type PaceLimits } from './play.js';
import { entryHead, FEATURE_PREFIX, formatStartupProfile, type ServerIdentity } from './responses.js';

/** The entry that a Play gets, and what opens its body. */
export interface ChosenEntry {
  readonly entry: Entry;
  readonly opening: Buffer;
  readonly selection: StreamSelection;
  /** It is another one than the player names, whose head opens the body, too (MS-WMSP 4.5.1). */
  readonly skipped: boolean;
}

/**
 * Moves to the entry that a Play wants: the one that the program is on, or with pl-offset its neighbour (MS-WMSP 2.2.1.4.20).
 * The streams that the client names are those of the first; of the other one it gets what belongs to them. A neighbour that
 * there is not, or that may not be skipped to, leaves it where it is.
 */
export async function chooseEntry(
  handling: Handling,
  program: Program,
  identity: ServerIdentity,
): Promise<ChosenEntry> {
  const here = program.current;
  const header = playableHeader(here);
  const head = (entry: Entry) => entryHead(playableHeader(entry), entry, program, handling.profile, identity);
  const opening = head(here);
  const selection = selectionOf(handling, header.streams);
  const offset = plOffset(handling);
  const entry = offset === 0 ? undefined : await program.seek(here.id, offset);
  if (!entry || entry.id === here.id) return { entry: program.current, opening, selection, skipped: false };
  return {
    entry,
    // Whatever the direction, Reason is 0: with NS_I_PLAYLIST_CHANGE_RECEDING the client would expect no header (3.1.5.14).
    opening: Buffer.concat([opening, changePacket(), head(entry)]),
    selection: predicted(selection, header, playableHeader(entry)),
    skipped: true,
  };
}

/** How an entry is sent that a Play or a PlayNextEntry asks for. */
export interface Preparation {
  /** For a file: the packet to start with. */
  readonly from: number;
  readonly pace: Pace;
  readonly tokens: readonly string[];
  readonly fields: readonly Field[];
}

/**
 * Finds where an entry begins and how fast it is sent, by the tokens of a Play or a PlayNextEntry (MS-WMSP 3.2.5.6 and 3.2.5.9).
 *
 * @throws HttpError 400 for a rate that there is not; WmError WM_NO_INPUT when the file cannot be read
 */
export async function prepareEntry(
  handling: Handling,
  entry: Entry,
  selection: StreamSelection,
  limits: PaceLimits,
): Promise<Preparation> {
  const { pragma, client } = handling;
  const { pace, tokens } = grantPace(entry, pragma, client, limits);
  if (entry.kind === 'live') return { from: 0, pace, tokens, fields: [] };
  const position = choosePosition(entry, pragma);
  const choice = choiceOf(selection);
  let from = await entry.file.locate(position, choice);
  let start = position.kind === 'time' ? position.milliseconds : position.kind === 'start' ? 0 : undefined;
  if (entry.begin && start === undefined) {
    const first = await entry.file.locate({ kind: 'time', milliseconds: entry.begin }, choice);
    if (first > from) [from, start] = [first, entry.begin];
  }
  const limit = limitOf(entry, pragma.number('max-duration') ?? 0, start, pace.rate);
  const fields = await startupProfile(handling, entry, from, selection, pace);
  const where = { ...(start === undefined ? {} : { start }), ...(limit ? { limit } : {}) };
  return { from, pace: { ...pace, ...where }, tokens, fields };
}

/** X-StartupProfile, for a client that understands it and a Play that is accelerated (MS-WMSP 3.2.5.6). */
async function startupProfile(
  { exchange, profile: { version9 } }: Handling,
  entry: FileEntry,
  from: number,
  selection: StreamSelection,
  { acceleration, rate }: Pace,
): Promise<Field[]> {
  if (!acceleration || rate !== 1 || !version9) return [];
  if (!supportedBy(exchange).has(`${FEATURE_PREFIX}startupprofile`)) return [];
  const options = { choice: choiceOf(selection), duration: acceleration.milliseconds };
  const profile = await entry.file.startupProfile(from, options);
  return profile ? [['X-StartupProfile', formatStartupProfile(profile)]] : [];
}
