import { rename, writeFile } from 'node:fs/promises';
import { buildNsc, type NscFile } from '../announce/nsc.js';
import { WmError } from '../errors.js';
import type { AsfEvent, AsfSink } from '../media/events.js';
import { systemErrorReason } from '../media/system-error.js';
import { parseMsbUrl } from '../msb/messages/url.js';
import { MulticastSender, type MulticastStats } from '../msb/server/sender.js';

/** A multicast group to send to. */
export interface MulticastTargetOptions {
  /** `msb://group:port?…` */
  readonly url: string;
  /** Where to write the .nsc file for receivers; it is rewritten whenever it changes. */
  readonly nsc?: string | undefined;
  /** Additional properties for the .nsc file. */
  readonly more?: Partial<NscFile> | undefined;
  readonly warn: (message: string) => void;
}

/** A multicast group to send to. */
export interface MulticastTarget extends AsfSink {
  readonly stats: Readonly<MulticastStats>;
}

/**
 * Opens a multicast group and keeps its .nsc file up to date.
 *
 * @throws WmError as {@link parseMsbUrl} and {@link MulticastSender.open}; from `write`, WM_DISK if the .nsc file
 *   cannot be written
 */
export async function openMulticast({ url, nsc, more, warn }: MulticastTargetOptions): Promise<MulticastTarget> {
  let stale = false;
  const sender = await MulticastSender.open({
    ...parseMsbUrl(url),
    warn,
    onFormats: () => {
      stale = nsc !== undefined;
    },
  });
  return {
    get stats() {
      return sender.stats;
    },
    write: (event: AsfEvent) => {
      sender.write(event);
      if (!stale) return;
      stale = false;
      return replaceFile(nsc!, buildNsc(sender.announcement(more)));
    },
    close: () => sender.close(),
  };
}

/** Atomically replaces a file that others may read at any moment. @throws WmError WM_DISK */
export async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.${process.pid}.part`;
  try {
    await writeFile(draft, text);
    await rename(draft, path);
  } catch (error) {
    throw new WmError('WM_DISK', `${path} cannot be written: ${systemErrorReason(error)}.`, { cause: error });
  }
}
