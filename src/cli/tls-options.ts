import { WmError } from '../errors.js';
import type { TlsFileNames } from '../server/access/tls-files.js';

/** The files for TLS, both or neither. */
export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/**
 * Returns the key and the certificate of a command that listens; undefined to run without TLS.
 *
 * @param base the files that the configuration names
 * @throws WmError WM_USAGE if only one of them is given
 */
export function tlsFiles({ tlsCert, tlsKey }: TlsOptions, base?: TlsFileNames): TlsFileNames | undefined {
  const [cert, key] = [tlsCert ?? base?.cert, tlsKey ?? base?.key];
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new WmError('WM_USAGE', 'TLS needs both --tls-cert and --tls-key.');
}
