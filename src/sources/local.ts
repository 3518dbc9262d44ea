import type { AsfEvent, AsfSource } from '../media/events.js';
import { type FileSourceOptions, fileSource } from '../media/file-source.js';
import { AnnouncementSource, isAnnouncementFile } from './announced.js';
import type { SourceDescription, SourceOptions } from './source.js';
import { describeSourceUrl, isSourceUrl, TABLE } from './table.js';

/**
 * Opens a file of this host, whatever its name: ASF, or an announcement, which is followed.
 *
 * @param options for the sources that an announcement names
 */
export function localSource(file: FileSourceOptions, options: SourceOptions = {}): AsfSource {
  let source: AsfSource | undefined;
  let isClosed = false;
  return {
    async *[Symbol.asyncIterator](): AsyncGenerator<AsfEvent, void, undefined> {
      const isList = file.path !== '-' && (await isAnnouncementFile(file.path));
      if (isClosed) return;
      source = isList ? AnnouncementSource.at(file.path, options, TABLE) : fileSource(file);
      yield* source;
    },
    close: async () => {
      isClosed = true;
      await source?.close();
    },
  };
}

/** Describes what a URL names, or an announcement in a file leads to. @throws WmError as {@link describeSourceUrl} */
export function describeSource(place: string, options: SourceOptions = {}): Promise<SourceDescription> {
  if (isSourceUrl(place)) return describeSourceUrl(place, options);
  return AnnouncementSource.at(place, options, TABLE).describe();
}
