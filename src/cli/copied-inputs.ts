import { type LiveHeaderOptions, liveHeader } from '../asf/edit.js';
import { ClientAuthenticator } from '../auth/client.js';
import { takeCredentials } from '../http/credentials.js';
import type { AsfEvent, AsfSource } from '../media/events.js';
import { fileSource } from '../media/file-source.js';
import { Sequence } from '../media/sequence.js';
import { PacedSource } from '../sources/paced.js';
import { isSourceUrl, openSourceUrl } from '../sources/table.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { isSynthetic, parseSynthetic } from '../testing/synthetic-url.js';
import type { InputOptions } from './input-model.js';
import type { Extent } from './inputs.js';
import type { Reporter } from './reporter.js';

/** How many attempts in a row to reach a server that is being copied from. */
const COPY_RETRIES = 10;

/** Returns a function that opens inputs whose packets are sent unchanged. */
export function openCopy(options: InputOptions, reporter: Reporter): (input: string, extent: Extent) => AsfSource {
  const warn = (message: string) => reporter.warn(message);
  const live = liveTexts(options);
  return (path, { loop, duration, paced = true }) => {
    if (isSynthetic(path)) {
      const { title } = options;
      return new SyntheticSource({
        ...parseSynthetic(path),
        pace: true,
        ...(title !== undefined && { title }),
        ...(duration !== undefined && { duration }),
      });
    }
    if (!isSourceUrl(path)) return fileSource({ loop, duration, path, pace: paced, live, warn });
    return new Sequence({ entries: [() => new LiveCopy(openRemote(path, reporter), live)], loop, duration });
  };
}

/** Opens a URL at its own pace, with reconnection after failures. */
function openRemote(location: string, reporter: Reporter): AsfSource {
  const { url, credentials } = takeCredentials(location);
  return new PacedSource(
    openSourceUrl(url, {
      speed: 1,
      reconnect: { retries: COPY_RETRIES },
      onNote: (text) => reporter.detail(text),
      onReconnect: ({ error }) => reporter.info(`${error.message} Trying again.`),
      ...(credentials && { authorize: new ClientAuthenticator({ server: credentials }) }),
    }),
  );
}

/** A source whose headers are turned into those of a live stream. */
class LiveCopy implements AsfSource {
  readonly #source: AsfSource;
  readonly #texts: LiveHeaderOptions;

  constructor(source: AsfSource, texts: LiveHeaderOptions) {
    this.#source = source;
    this.#texts = texts;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
    for await (const event of this.#source) {
      yield event.type === 'header' ? { type: 'header', header: liveHeader(event.header, this.#texts) } : event;
    }
  }

  close(): Promise<void> {
    return this.#source.close();
  }
}

function liveTexts({ title, author, copyright, comment }: InputOptions): LiveHeaderOptions {
  return {
    ...(title === undefined ? {} : { title }),
    ...(author === undefined ? {} : { author }),
    ...(copyright === undefined ? {} : { copyright }),
    ...(comment === undefined ? {} : { description: comment }),
  };
}
