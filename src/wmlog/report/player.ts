import { decodeLogText } from './text.js';

/** Products that say nothing about the player: what a browser claims to be, and the library that all players use. */
const GENERIC = /^(?:Mozilla|HTTP|AppleWebKit|Gecko|KHTML|Safari|WMFSDK)$/i;
const MAX_NAME = 60;

/**
 * Returns the player that a User-Agent names, with the first two numbers of its version: `WMPlayer/10.0` of
 * `Mozilla/4.0_(compatible;_MSIE_6.0)_(WMFSDK/10.0.0.3802)_WMPlayer/10.0.0.4019`.
 */
export function playerName(userAgent: string): string {
  if (userAgent === '') return '-';
  const products = [...userAgent.matchAll(/(?<![A-Za-z0-9])([A-Za-z][A-Za-z0-9.-]{0,40})\/(\d{1,5}(?:\.\d{1,5})?)/g)];
  const named = products.filter(([, name]) => !GENERIC.test(name!));
  // Browsers name the player last, players name themselves first.
  const [, name, version] = (/^Mozilla/i.test(userAgent) ? named.at(-1) : named[0]) ?? [];
  if (name !== undefined) return `${name}/${version}`;
  return decodeLogText(userAgent).slice(0, MAX_NAME);
}
