import { readFileSync } from 'node:fs';
import type { Command } from 'commander';
import { ClientAuthenticator } from '../auth/client.js';
import { WmError } from '../errors.js';
import type { TlsTrust } from '../http/connection.js';
import { type Credentials, takeCredentials } from '../http/credentials.js';
import { systemErrorReason } from '../media/system-error.js';

/** The options for how to reach a server and how to log in. */
export interface AccessOptions {
  readonly user?: string;
  readonly password?: string;
  readonly basicInClear?: true;
  readonly proxy?: string;
  readonly ca?: string;
  readonly insecure?: true;
}

/** The address and the login of a server, resolved from the options. */
export interface Access {
  /** Without the password that it may have contained. */
  readonly url: string;
  readonly proxy: string | undefined;
  readonly tls: TlsTrust;
  readonly authorize: ClientAuthenticator | undefined;
}

/** Adds the options for logging in, proxies and certificates. */
export function addAccessOptions(command: Command): Command {
  return command
    .optionsGroup('Login and network:')
    .option('--user <name>', 'user to log in as: name or DOMAIN\\name (also WMCAST_USER, or in the URL)')
    .option('--password <text>', 'its password; other users of this host can see it here, but not in WMCAST_PASSWORD')
    .option('--basic-in-clear', 'allow Basic without TLS, where anyone on the network can read the password')
    .option(
      '--proxy <url>',
      'HTTP proxy, for example http://proxy:8080 (its user: in the URL, or WMCAST_PROXY_USER and WMCAST_PROXY_PASSWORD)',
    )
    .option('--ca <file>', 'also trust the certificates in this PEM file')
    .option('--insecure', 'trust any certificate');
}

/**
 * Resolves how to reach a server and how to log in.
 *
 * @param text its URL; a user and a password in it take precedence over those of the options and of the environment
 * @param prefix prefix of the environment variables, as in `WMCAST_USER` and `WMCAST_PASSWORD`
 * @throws WmError WM_CONFIG for certificates that cannot be read, WM_USAGE for a user without a password
 */
export function accessTo(text: string, options: AccessOptions, prefix = 'WMCAST'): Access {
  const { user, password, basicInClear, ca, insecure } = options;
  const to = takeCredentials(text);
  const through = options.proxy === undefined ? undefined : takeCredentials(options.proxy);
  const { env } = process;
  const server = pair(to.credentials, user ?? env[`${prefix}_USER`], password ?? env[`${prefix}_PASSWORD`], prefix);
  const { WMCAST_PROXY_USER: proxyUser, WMCAST_PROXY_PASSWORD: proxyPassword } = env;
  const proxy = pair(through?.credentials, proxyUser, proxyPassword, 'WMCAST_PROXY');
  // Anyone who lists processes can see the arguments.
  if (to.credentials || through?.credentials || password !== undefined) process.title = 'wmcast';
  return {
    url: to.url,
    proxy: through?.url,
    tls: { ca: ca === undefined ? undefined : certificates(ca), insecure: insecure ?? false },
    authorize: server || proxy ? new ClientAuthenticator({ server, proxy, basicInClear }) : undefined,
  };
}

/** A URL may name a user without a password. */
function pair(
  inUrl: Credentials | undefined,
  otherUser: string | undefined,
  otherPassword: string | undefined,
  prefix: string,
): Credentials | undefined {
  if (inUrl && inUrl.password !== '') return inUrl;
  const user = inUrl?.user ?? otherUser;
  if (user === undefined || user === '') return undefined;
  if (otherPassword === undefined) {
    throw new WmError('WM_USAGE', `There is no password for the user ${user}: ${prefix}_PASSWORD gives it.`);
  }
  return { user, password: otherPassword };
}

function certificates(path: string): string {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new WmError('WM_CONFIG', `The certificates in ${path} cannot be read: ${systemErrorReason(error)}.`);
  }
  if (/^-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----/m.test(text)) return text;
  throw new WmError('WM_CONFIG', `${path} holds no certificate in PEM form.`);
}
