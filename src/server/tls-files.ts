import { readFile, stat } from 'node:fs/promises';
import { messageOf, WmError } from '../errors.js';
import type { TlsIdentity } from '../http/server.js';
import { systemErrorReason } from '../media/system-error.js';

/** PEM files; `cert` holds the whole chain, the server's own certificate first. */
export interface TlsFileNames {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads the key and the certificate of a server.
 *
 * @throws WmError WM_CONFIG when one of them cannot be read
 */
export async function readTls({ cert, key }: TlsFileNames): Promise<TlsIdentity> {
  const read = (file: string) =>
    readFile(file).catch((error: unknown) => {
      const sentence = `The TLS file ${file} cannot be read: ${systemErrorReason(error)}.`;
      throw new WmError('WM_CONFIG', sentence, { cause: error });
    });
  return { cert: await read(cert), key: await read(key) };
}

// Certificates are renewed weeks before they run out.
const INTERVAL = 60_000;

/** Looks once a minute whether the files of a key and its certificate have changed. */
export class TlsWatch {
  readonly #files: TlsFileNames;
  readonly #renew: (identity: TlsIdentity) => void;
  readonly #onWarning: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #version: Promise<string>;

  /** @param renew gets what was read; may throw when it is unusable */
  constructor(files: TlsFileNames, renew: (identity: TlsIdentity) => void, onWarning: (message: string) => void) {
    this.#files = files;
    this.#renew = renew;
    this.#onWarning = onWarning;
    this.#version = versionOf(files);
    this.#timer = setInterval(() => void this.look(), INTERVAL);
    this.#timer.unref();
  }

  /** Reads the files anew if they have changed; never throws. */
  async look(): Promise<void> {
    const before = this.#version;
    this.#version = versionOf(this.#files);
    if ((await before) === (await this.#version)) return;
    try {
      this.#renew(await readTls(this.#files));
    } catch (error) {
      this.#onWarning(`The certificate stays as it was. ${messageOf(error)}`);
    }
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

async function versionOf({ cert, key }: TlsFileNames): Promise<string> {
  const of = (file: string) =>
    stat(file).then(
      ({ mtimeMs, size }) => `${mtimeMs} ${size}`,
      () => 'none',
    );
  return `${await of(cert)} ${await of(key)}`;
}
