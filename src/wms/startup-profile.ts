import type { StartupProfile } from '../media/on-demand/options.js';

/** Formats the value of X-StartupProfile ([MS-WMSP] 2.2.1.12): every part ends with a semicolon, including the last. */
export function formatStartupProfile(profile: StartupProfile): string {
  const parts: Array<[name: string, value: number | readonly number[]]> = [
    ['Rate', profile.rate],
    ['MaxBytes', profile.maxBytes],
    ['Time', profile.time],
    ['StartTime', profile.startTime],
    ['LastTime', profile.lastTime],
    ['MaxDiffTime', profile.maxDiffTime],
    ['MaxDiffSndTime', profile.maxDiffSndTime],
    ['ByteRate', profile.byteRate],
  ];
  return parts.map(([name, value]) => `${name}=${value};`).join('');
}

/**
 * The numbers of each parameter of an X-StartupProfile header, by its name in lower case; a list may be empty.
 *
 * @public
 */
export type StartupParameters = ReadonlyMap<string, readonly number[]>;

/** Reads an X-StartupProfile header; malformed parameters are ignored. Undefined if no parameter is left. */
export function parseStartupProfile(field: string | undefined): StartupParameters | undefined {
  const profile = new Map<string, readonly number[]>();
  for (const parameter of (field ?? '').split(/[;\s]/)) {
    const [, name, list] = /^([A-Za-z]+)=(-?\d{1,10}(?:,-?\d{1,10})*)$/.exec(parameter) ?? [];
    if (name !== undefined) profile.set(name.toLowerCase(), list!.split(',').map(Number));
  }
  return profile.size === 0 ? undefined : profile;
}
