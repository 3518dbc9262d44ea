import type { LiveHeaderOptions } from '../../asf/edit.js';
import { type Rule, ruleOf } from '../../auth/access.js';
import type { PathLimits } from '../../playback/limits.js';
import type { PointConfig } from '../config-fields.js';
import type { MulticastConfig } from '../listeners/multicast.js';
import type { ArchiveLimits } from './archive-series.js';

/** The settings that a publishing point copies from its template (MS-WMHTTP 2.2.2.1.1). @public */
export interface PointSettings {
  /** Undefined for the server's rule. */
  readonly push?: Rule | undefined;
  readonly play?: Rule | undefined;
  /** The folder for recordings of pushes. */
  readonly archive?: string | undefined;
  readonly archiveFiles?: ArchiveLimits | undefined;
  /** How much media a new player gets at once, in ms. */
  readonly burst?: number | undefined;
  readonly limits?: PathLimits | undefined;
  /** The wrapper playlist of the point, as a path below the content folder; undefined for that of the server. */
  readonly wrapper?: string | undefined;
  /** False for a point that is stopped until the administrator starts it. */
  readonly enabled?: boolean | undefined;
  /** False if new players are refused. */
  readonly acceptPlayers?: boolean | undefined;
  /** False if proxies must open a stream of their own for each of their players; default: true. */
  readonly proxySplit?: boolean | undefined;
  /** A point made from this one is removed with the session that made it, whether or not its encoder asks for that. */
  readonly autoDestroy?: boolean | undefined;
  /** True to add a stream of script commands to the headers of encoders that have none. */
  readonly scripts?: boolean | undefined;
  /** Texts that override those of the encoder; undefined if there are no such texts. */
  readonly texts?: LiveHeaderOptions | undefined;
  /** A point made from this one is multicast in the same group, on a port of its own. */
  readonly multicast?: MulticastConfig | undefined;
}

/**
 * Turns the settings of a configuration into those of a point.
 *
 * @throws WmError WM_USAGE for a malformed address
 */
export function settingsOf(config: PointConfig & Pick<PointSettings, 'multicast'>): PointSettings {
  const { multicast, access, burst, archive, maxPlayers, maxBandwidth, maxPlayerBandwidth, autoDestroy } = config;
  const { proxySplit, wrapper, enabled, acceptPlayers, scripts } = config;
  return {
    push: access?.push && ruleOf(access.push),
    play: access?.play && ruleOf(access.play),
    archive,
    archiveFiles: config.archiveFiles,
    burst: burst === undefined ? undefined : burst * 1000,
    limits: { players: maxPlayers, bandwidth: bits(maxBandwidth), playerBandwidth: bits(maxPlayerBandwidth) },
    wrapper,
    enabled,
    acceptPlayers,
    proxySplit,
    autoDestroy,
    scripts,
    texts: textsOf(config),
    multicast,
  };
}

/** Turns kbit/s into bits per second. */
function bits(kilobits: number | undefined): number | undefined {
  return kilobits === undefined ? undefined : kilobits * 1000;
}

function textsOf({ title, author, copyright, description }: PointConfig): LiveHeaderOptions | undefined {
  const given = Object.entries({ title, author, copyright, description }).filter(([, text]) => text !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
