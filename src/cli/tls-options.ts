import { WmError } from '../errors.js';
import type { TlsFileNames } from '../server/tls-files.js';

export interface TlsOptions {
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/**
 * The key and the certificate of a command that listens; undefined when it is to go without TLS.
 *
 * @param base what a configuration says
 * @throws WmError WM_USAGE when half of it is missing
 */
export function tlsFiles({ tlsCert, tlsKey }: TlsOptions, base?: TlsFileNames): TlsFileNames | undefined {
  const [cert, key] = [tlsCert ?? base?.cert, tlsKey ?? base?.key];
  if (cert !== undefined && key !== undefined) return { cert, key };
  if (cert === undefined && key === undefined) return undefined;
  throw new WmError('WM_USAGE', 'TLS needs both --tls-cert and --tls-key.');
}
