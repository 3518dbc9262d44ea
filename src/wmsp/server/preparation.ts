import type { Program } from '../../playback/content.js';
import type { Entry } from '../../playback/entry.js';
import { predicted, type StreamSelection } from '../../playback/selection.js';
import { changePacket } from '../messages/packets.js';
import { entryHead, type ServerIdentity } from '../messages/responses.js';
import { type Handling, playableHeader, plOffset, selectionOf } from './handling.js';

/** The entry that a Play gets, and the beginning of its body. */
export interface ChosenEntry {
  readonly entry: Entry;
  readonly opening: Buffer;
  readonly selection: StreamSelection;
  /** True if it is not the entry that the player names, whose head opens the body as well (MS-WMSP 4.5.1). */
  readonly skipped: boolean;
}

/**
 * Moves to the entry that a Play wants: the current one, or with pl-offset its neighbour (MS-WMSP 2.2.1.4.20). The
 * client names streams of the current entry; of the neighbour it gets the corresponding ones. If there is no such
 * neighbour, or the player may not skip to it, the entry stays the same.
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
    // In either direction, Reason is 0: with NS_I_PLAYLIST_CHANGE_RECEDING the client would expect no header
    // (3.1.5.14).
    opening: Buffer.concat([opening, changePacket(), head(entry)]),
    selection: predicted(selection, header, playableHeader(entry)),
    skipped: true,
  };
}
