import { type LookupAddress, lookup } from 'node:dns';
import { connect, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls, rootCertificates, type TLSSocket } from 'node:tls';
import { messageOf, WmError } from '../errors.js';
import type { AddressGuard } from './address-guard.js';

/** Which certificates to trust. @public */
export interface TlsTrust {
  /** Certificates of authorities, or of the server itself, in PEM; they are trusted in addition to the system's. */
  readonly ca?: string | undefined;
  /** Accepts any certificate: the connection is encrypted, but the other side is not verified. Default false. */
  readonly insecure?: boolean | undefined;
}

/** Where and how to connect. @public */
export interface Endpoint {
  /** A name or an address, without brackets. */
  readonly host: string;
  readonly port: number;
  /** Speaks TLS; undefined for plain TCP. */
  readonly tls?: TlsTrust | undefined;
  /** Which of the host's addresses may be connected to; default all. */
  readonly guard?: AddressGuard | undefined;
}

/** Time limit for connecting, in ms. */
export const CONNECT_TIMEOUT = 10_000;

/** Returns host and port as a person reads them, and as CONNECT takes them (RFC 9110 9.3.6). */
export function authorityOf({ host, port }: Endpoint): string {
  return isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
}

/**
 * Opens a connection, TLS included. Nothing reads it yet.
 * @param timeout in ms, for TCP and TLS each
 * @throws WmError WM_UNREACHABLE if the name is unknown, nothing listens or there is no answer in time; WM_TLS as
 *   {@link startTls}; WM_PROTOCOL for an address that the guard does not allow
 */
export async function openConnection(endpoint: Endpoint, timeout: number): Promise<Socket> {
  const socket = await dial(endpoint, timeout);
  return endpoint.tls ? startTls(socket, endpoint, timeout) : socket;
}

/**
 * Returns the lookup with which a socket resolves a host, if a guard has to allow its addresses. The guard sees the
 * address that is connected to, whatever names or redirects led there.
 * @throws WmError WM_PROTOCOL if the host is an address that is not allowed
 */
export function guardedLookup({ host, guard }: Endpoint): { readonly lookup?: LookupFunction } {
  if (!guard) return {};
  // An address is not looked up.
  if (isIP(host) !== 0 && !guard.allows(host)) throw forbidden(host, host);
  return {
    lookup: (name, options, callback) => {
      lookup(name, { ...options, all: true }, (error, addresses: LookupAddress[]) => {
        const allowed = error ? [] : addresses.filter(({ address }) => guard.allows(address));
        const [first] = allowed;
        if (error || !first) callback(error ?? forbidden(name, addresses[0]?.address ?? name), '', 0);
        else if (options.all) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    },
  };
}

function forbidden(name: string, address: string): WmError {
  const what = name === address ? address : `${name} (${address})`;
  return new WmError('WM_PROTOCOL', `${what} is a private address, where other servers may not lead this one.`);
}

function dial(endpoint: Endpoint, timeout: number): Promise<Socket> {
  const { host, port } = endpoint;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ...guardedLookup(endpoint) });
    const refuse = (why: string) => {
      clearTimeout(timer);
      socket.destroy();
      reject(new WmError('WM_UNREACHABLE', `${host}:${port} cannot be reached: ${why}.`));
    };
    const failed = (error: NodeJS.ErrnoException) => {
      if (!(error instanceof WmError)) {
        refuse(describeConnectError(error));
        return;
      }
      clearTimeout(timer);
      reject(error);
    };
    const timer = setTimeout(() => refuse(`no answer within ${timeout / 1000} s`), timeout);
    socket.once('error', failed);
    socket.once('connect', () => {
      clearTimeout(timer);
      socket.removeListener('error', failed);
      resolve(socket);
    });
  });
}

/**
 * Starts TLS on a connection (RFC 8446), with the host's name for SNI and for the certificate.
 * @param timeout in ms
 * @throws WmError WM_TLS if the certificate is not trusted or the other side does not speak TLS; WM_UNREACHABLE if it
 *   does not answer in time; WM_SERVER_GONE if it closes
 */
export function startTls(socket: Socket, endpoint: Endpoint, timeout: number): Promise<TLSSocket> {
  const { host, tls: { ca, insecure = false } = {} } = endpoint;
  const name = authorityOf(endpoint);
  return new Promise((resolve, reject) => {
    const refuse = (error: WmError) => {
      clearTimeout(timer);
      secured?.destroy();
      socket.destroy();
      reject(error);
    };
    const failed = (error: NodeJS.ErrnoException) => refuse(tlsError(name, error));
    const gone = () => refuse(new WmError('WM_SERVER_GONE', `${name} closed the connection instead of speaking TLS.`));
    const timer = setTimeout(
      () => refuse(new WmError('WM_UNREACHABLE', `${name} does not speak TLS: no answer within ${timeout / 1000} s.`)),
      timeout,
    );
    let secured: TLSSocket | undefined;
    try {
      secured = connectTls({
        socket,
        host,
        ALPNProtocols: ['http/1.1'],
        rejectUnauthorized: !insecure,
        ...(isIP(host) === 0 ? { servername: host } : {}),
        ...(ca === undefined ? {} : { ca: trusted(ca) }),
      });
    } catch (error) {
      refuse(new WmError('WM_TLS', `TLS to ${name} cannot begin: ${messageOf(error)}.`, { cause: error }));
      return;
    }
    const ready = secured;
    // The upper layer reports errors of the lower one.
    socket.on('error', () => {});
    ready.once('error', failed);
    ready.once('close', gone);
    ready.once('secureConnect', () => {
      clearTimeout(timer);
      ready.removeListener('error', failed);
      ready.removeListener('close', gone);
      resolve(ready);
    });
  });
}

/** The given certificates and the authorities that Node.js knows, because a given list replaces those. */
function trusted(ca: string): string[] {
  return [...rootCertificates, ca];
}

function tlsError(name: string, error: NodeJS.ErrnoException): WmError {
  const { code } = error;
  const gone = code === 'ECONNRESET' || code === 'EPIPE';
  if (gone)
    return new WmError('WM_SERVER_GONE', `${name} broke the connection instead of speaking TLS.`, { cause: error });
  return new WmError('WM_TLS', `${name} cannot be trusted: ${describeTlsError(error)}.`, { cause: error });
}

function describeTlsError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
      return 'its certificate is signed by itself';
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
      return 'its certificate is signed by an authority that is not known here';
    case 'CERT_HAS_EXPIRED':
      return 'its certificate has expired';
    case 'CERT_NOT_YET_VALID':
      return 'its certificate is not valid yet';
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return 'its certificate is for another name';
    case 'ERR_SSL_WRONG_VERSION_NUMBER':
    case 'ERR_SSL_PACKET_LENGTH_TOO_LONG':
    case 'EPROTO':
      return 'what it speaks on that port is not TLS';
    default:
      return messageOf(error).replace(/\s+/g, ' ').replace(/\.$/, '');
  }
}

function describeConnectError(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'ECONNREFUSED':
      return 'nobody listens on that port';
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return 'its name is unknown';
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to that network';
    default:
      return messageOf(error);
  }
}
