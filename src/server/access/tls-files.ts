import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { messageOf, WmError } from '../../errors.js';
import type { TlsIdentity } from '../../http/server.js';
import { systemErrorReason } from '../../media/system-error.js';

/** PEM files; `cert` contains the whole chain, the server's own certificate first. */
export interface TlsFileNames {
  readonly cert: string;
  readonly key: string;
}

/**
 * Reads the key and the certificate of a server.
 *
 * @param onWarning called if clients will not trust the certificate because of its dates
 * @throws WmError WM_CONFIG if one of them cannot be read, or they do not belong together
 */
export async function readTls(files: TlsFileNames, onWarning: (message: string) => void): Promise<TlsIdentity> {
  const { cert, key } = files;
  const read = (file: string) =>
    readFile(file).catch((error: unknown) => {
      const sentence = `The TLS file ${file} cannot be read: ${systemErrorReason(error)}.`;
      throw new WmError('WM_CONFIG', sentence, { cause: error });
    });
  const identity = { cert: await read(cert), key: await read(key) };
  checkPair(files, identity, onWarning);
  return identity;
}

/**
 * Checks that the two belong together. OpenSSL later rejects what is unusable for other reasons, such as an encrypted
 * key.
 */
function checkPair({ cert, key }: TlsFileNames, identity: TlsIdentity, onWarning: (message: string) => void): void {
  let certificate: X509Certificate;
  let isPair: boolean;
  try {
    certificate = new X509Certificate(identity.cert);
    isPair = certificate.checkPrivateKey(createPrivateKey(identity.key));
  } catch {
    return;
  }
  if (!isPair) throw new WmError('WM_CONFIG', `The key ${key} does not belong to the certificate ${cert}.`);
  const { validFrom, validTo } = certificate;
  if (Date.parse(validTo) < Date.now()) onWarning(`The certificate ${cert} has expired on ${validTo}.`);
  if (Date.parse(validFrom) > Date.now()) onWarning(`The certificate ${cert} is not valid before ${validFrom}.`);
}

// Certificates are renewed weeks before they expire.
const INTERVAL = 60_000;

/** Checks once a minute whether the files of a key and its certificate have changed. */
export class TlsWatch {
  #files: TlsFileNames;
  readonly #renew: (identity: TlsIdentity) => void;
  readonly #onWarning: (message: string) => void;
  readonly #timer: NodeJS.Timeout;
  #version: Promise<string>;

  /** @param renew receives the new key and certificate; may throw if they are unusable */
  constructor(files: TlsFileNames, renew: (identity: TlsIdentity) => void, onWarning: (message: string) => void) {
    this.#files = files;
    this.#renew = renew;
    this.#onWarning = onWarning;
    this.#version = versionOf(files);
    this.#timer = setInterval(() => void this.look(), INTERVAL);
    this.#timer.unref();
  }

  /** Reads the files again if they have changed; never throws. */
  async look(): Promise<void> {
    const before = this.#version;
    this.#version = versionOf(this.#files);
    if ((await before) === (await this.#version)) return;
    try {
      this.#renew(await readTls(this.#files, this.#onWarning));
    } catch (error) {
      this.#onWarning(`The old certificate stays in use. ${messageOf(error)}`);
    }
  }

  /** Uses other files from now on. @param identity what they contain */
  use(files: TlsFileNames, identity: TlsIdentity): void {
    this.#renew(identity);
    this.#files = files;
    this.#version = versionOf(files);
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
