import type { AsfHeader } from '../asf/header.js';
import { parsePacket } from '../asf/packet.js';
import type { Broadcast } from '../media/broadcast.js';
import type { StartupProfile } from '../media/on-demand/options.js';
import { type SentObject, startupProfileOf } from '../media/on-demand/startup-profile.js';
import { laneChoice } from './lane-choice.js';
import { levelOf, type StreamSelection } from './selection.js';

// In ms of media: profiles of bursts that differ by less are the same.
const STEP = 500;
// For each broadcast.
const MAX_PROFILES = 32;

const known = new WeakMap<Broadcast, Map<string, StartupProfile | undefined>>();

/**
 * Returns what a player needs to play a broadcast from a packet on, according to its history ([MS-WMSP] 2.2.1.12).
 * Players that join at the same key frame with the same choice of streams share a profile.
 *
 * @param lead ms of media that the player gets at once
 * @returns undefined if there is no media, or all of it has the same time
 */
export function liveStartupProfile(
  broadcast: Broadcast,
  header: AsfHeader,
  selection: StreamSelection,
  location: number,
  lead: number,
): StartupProfile | undefined {
  const profiles = known.get(broadcast) ?? new Map<string, StartupProfile | undefined>();
  known.set(broadcast, profiles);
  const name = [broadcast.generation, location, Math.floor(lead / STEP), laneChoice(header, selection).key].join(' ');
  if (profiles.has(name)) return profiles.get(name);
  const [oldest] = profiles.keys();
  if (oldest !== undefined && profiles.size >= MAX_PROFILES) profiles.delete(oldest);
  const profile = profileFrom(broadcast, header, selection, location, lead);
  profiles.set(name, profile);
  return profile;
}

function profileFrom(
  broadcast: Broadcast,
  header: AsfHeader,
  selection: StreamSelection,
  location: number,
  lead: number,
): StartupProfile | undefined {
  const types = new Map(header.streams.map(({ number, type }) => [number, type]));
  const objects: SentObject[] = [];
  let first: number | undefined;
  for (const { wire } of broadcast.since(location)) {
    for (const payload of parsePacket(wire).payloads) {
      const { stream, offset, key, presentationTime, objectSize, dataLength } = payload;
      const level = levelOf(selection, stream);
      if (offset !== 0 || presentationTime === -1 || level === 2 || (level === 1 && !key)) continue;
      first ??= presentationTime;
      const time = (presentationTime - first) | 0;
      if (time > lead) continue;
      objects.push({ type: types.get(stream), time, size: objectSize === -1 ? dataLength : objectSize });
    }
  }
  return startupProfileOf(objects, first ?? 0);
}
