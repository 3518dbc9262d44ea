import type { Broadcast } from '../media/broadcast.js';
import type { Entry, Program, Redirect, WmspContent } from '../wmsp/program.js';
import type { PublishingPoints } from './points.js';

/** A broadcast on its own: one entry that begins anew with each header of its source. */
export function liveProgram(broadcast: Broadcast): Program {
  const current: Entry = { kind: 'live', id: 1, broadcast };
  const nothing = () => Promise.resolve(undefined);
  return { playlist: false, current, next: nothing, previous: nothing, seek: nothing, close: () => {} };
}

/** What the URLs of a server name: publishing points first. */
export class Programs implements WmspContent {
  readonly #points: PublishingPoints;

  constructor(points: PublishingPoints) {
    this.#points = points;
  }

  async open(path: string): Promise<Program | Redirect | undefined> {
    const point = this.#points.get(path) ?? this.#points.get(path.replace(/\.(?:asf|wmv|wma)$/i, ''));
    return point && liveProgram(point.broadcast);
  }
}
