import type { LiveHeaderOptions } from '../asf/edit.js';
import { type Rule, ruleOf } from '../auth/access.js';
import type { PointConfig } from './config.js';
import type { MulticastConfig } from './multicast.js';

/** What a publishing point copies from its template (MS-WMHTTP 2.2.2.1.1). */
export interface PointSettings {
  /** Undefined: as the server has it. */
  readonly push?: Rule | undefined;
  readonly play?: Rule | undefined;
  /** Folder for what is pushed. */
  readonly archive?: string | undefined;
  /** Milliseconds of media that a new player gets at once. */
  readonly burst?: number | undefined;
  readonly maxPlayers?: number | undefined;
  /** A point made from this one goes with the session that made it, whether its encoder asks for that or not. */
  readonly autoDestroy?: boolean | undefined;
  /** Texts that stand over those of the encoder; undefined when there are none. */
  readonly texts?: LiveHeaderOptions | undefined;
  /** A point that is made from this one is multicast in the same group, on a port of its own. */
  readonly multicast?: MulticastConfig | undefined;
}

/**
 * Makes the settings of a configuration ready.
 *
 * @throws WmError WM_USAGE for an address that is none
 */
export function settingsOf(config: PointConfig & Pick<PointSettings, 'multicast'>): PointSettings {
  const { multicast, access, burst, archive, maxPlayers, autoDestroy } = config;
  return {
    push: access?.push && ruleOf(access.push),
    play: access?.play && ruleOf(access.play),
    archive,
    burst: burst === undefined ? undefined : burst * 1000,
    maxPlayers,
    autoDestroy,
    texts: textsOf(config),
    multicast,
  };
}

function textsOf({ title, author, copyright, description }: PointConfig): LiveHeaderOptions | undefined {
  const given = Object.entries({ title, author, copyright, description }).filter(([, text]) => text !== undefined);
  return given.length === 0 ? undefined : Object.fromEntries(given);
}
