import { LeadsElsewhere } from '../announce/elsewhere.js';
import { parseNsc } from '../announce/nsc.js';
import { WmError } from '../errors.js';
import type { AsfEvent } from '../media/events.js';
import { MsbClient } from '../msb/client/client.js';
import { PullSource } from '../receiving/pull-source.js';
import { WmspClient } from '../wmsp/client/client.js';
import { AnnouncementSource } from './announced.js';
import { MulticastSource } from './multicast.js';
import type { RemoteSource, SourceDescription, SourceOptions, SourceTable } from './source.js';
import { type PulledFacts, waysTo } from './ways.js';

/**
 * The content of a URL of a unicast protocol: a stream, or an announcement or redirect to another protocol, which is
 * followed. Only the response shows which it is, not the URL.
 *
 * The iteration throws as the clients of {@link waysTo} do, and as the source it leads to.
 */
export class FollowedSource implements RemoteSource {
  readonly #client: PullSource<PulledFacts>;
  readonly #options: SourceOptions;
  readonly #table: SourceTable;
  #next: RemoteSource | undefined;
  #begun = false;
  #closed = false;

  /** @throws WmError WM_USAGE for an unusable URL or option */
  constructor(url: string, options: SourceOptions, table: SourceTable) {
    this.#client = sourceAt(url, options);
    this.#options = options;
    this.#table = table;
  }

  static async describe(url: string, options: SourceOptions, table: SourceTable): Promise<SourceDescription> {
    try {
      return (await sourceAt(url, options).describe()).description;
    } catch (error) {
      if (!(error instanceof LeadsElsewhere)) throw error;
      return describeNext(error, options, table);
    }
  }

  get description(): RemoteSource['description'] {
    return this.#next ? this.#next.description : this.#client.facts?.description;
  }

  get stats(): RemoteSource['stats'] {
    return this.#next ? this.#next.stats : this.#client.stats;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    try {
      for await (const event of this.#client) {
        this.#begun = true;
        yield event;
      }
    } catch (error) {
      if (!(error instanceof LeadsElsewhere) || this.#begun || this.#closed) throw error;
      this.#next = openNext(error, this.#options, this.#table);
    }
    if (this.#next && !this.#closed) yield* this.#next;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await (this.#next ?? this.#client).close();
  }
}

function sourceAt(url: string, options: SourceOptions): PullSource<PulledFacts> {
  return new PullSource(waysTo(url, options), options);
}

/** Opens the source that a URL leads to. @throws WmError WM_PROTOCOL if nothing here can receive it */
function openNext(found: LeadsElsewhere, options: SourceOptions, table: SourceTable): RemoteSource {
  const { location, announcement } = found;
  const next = below(found, options);
  if (announcement?.kind === 'list') {
    return new AnnouncementSource({ ...announcement, location }, { ...options, led: next.led }, table);
  }
  if (announcement?.kind === 'nsc') {
    const { log, onNote, interface: own, guard } = options;
    const multicast = {
      url: location,
      log,
      onNote,
      interface: own,
      guard: next.led ? guard : undefined,
      read: nscReader(found, options),
      openUrl: (unicast: string) => table.open(unicast, next),
    };
    return new MulticastSource(multicast, options);
  }
  return redirected(found, () => table.open(location, next));
}

async function describeNext(
  found: LeadsElsewhere,
  options: SourceOptions,
  table: SourceTable,
): Promise<SourceDescription> {
  const { location, announcement } = found;
  const next = below(found, options);
  if (announcement?.kind === 'list') {
    return new AnnouncementSource({ ...announcement, location }, { ...options, led: next.led }, table).describe();
  }
  if (announcement?.kind === 'nsc') {
    const described = await MsbClient.describe({
      url: location,
      onNote: options.onNote,
      read: nscReader(found, options),
    });
    return { ...described, transport: 'msb' };
  }
  return redirected(found, () => table.describe(location, next));
}

/** Runs `follow`. A redirect may lead to another protocol, but not to a local file or to an unsupported URL. */
function redirected<T>(found: LeadsElsewhere, follow: () => T): T {
  if (!/^[a-z][a-z0-9+.-]+:\/\//i.test(found.location)) throw found;
  try {
    return follow();
  } catch (error) {
    throw error instanceof WmError && error.code === 'WM_USAGE' ? found : error;
  }
}

function below({ isRemote }: LeadsElsewhere, { depth = 0, led = false, ...options }: SourceOptions): SourceOptions {
  return { ...options, depth: depth + 1, led: led || isRemote };
}

/** Returns the .nsc file that was found, and on later calls reads it again. */
function nscReader({ location, announcement }: LeadsElsewhere, options: SourceOptions) {
  let text = announcement?.kind === 'nsc' ? announcement.text : undefined;
  return async () => {
    const first = text;
    text = undefined;
    return parseNsc(first ?? (await nscAt(location, options)), location, options.onNote);
  };
}

async function nscAt(url: string, options: SourceOptions): Promise<string> {
  try {
    await WmspClient.describe({ ...options, url });
  } catch (error) {
    if (!(error instanceof LeadsElsewhere)) throw error;
    if (error.announcement?.kind === 'nsc') return error.announcement.text;
  }
  throw new WmError('WM_BAD_INPUT', `${url} is no longer an .nsc file.`);
}
