import type { ServerConfig } from '../config.js';
import { pointSchema } from '../config-fields.js';
import type { PublishingPoint } from '../points/points.js';
import { type PointSettings, settingsOf } from '../points/settings.js';

/** What other hosts have to know about a point: who may push and play, and its limits. Its texts are in its header. */
const SHARED = pointSchema
  .pick({
    access: true,
    burst: true,
    maxPlayers: true,
    maxBandwidth: true,
    maxPlayerBandwidth: true,
    acceptPlayers: true,
    proxySplit: true,
  })
  .strip();

/** Returns the settings of a point for other hosts, as in a configuration; undefined if it has none. */
export function sharedSettings({ path, model }: PublishingPoint, { points }: ServerConfig): unknown {
  const configured = points.find((point) => point.path === path) ?? points.find((point) => point.path === model);
  const shared = configured && SHARED.parse(configured);
  return shared && Object.keys(shared).length > 0 ? shared : undefined;
}

/** Reads the settings that another host gives; undefined if this one does not understand them. */
export function readSettings(shared: unknown): PointSettings | undefined {
  const parsed = SHARED.safeParse(shared ?? {});
  return parsed.success ? settingsOf(parsed.data) : undefined;
}
