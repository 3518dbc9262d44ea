/** A user and a password. Never part of a message. @public */
export interface Credentials {
  readonly user: string;
  readonly password: string;
}

/**
 * Says what is wrong if a server (401) or a proxy (407) refuses access, as the beginning of a sentence.
 * @param given true if a user and a password were sent
 */
export function refusedCredentials(status: number, given: boolean): string {
  const who = status === 407 ? 'The proxy' : 'The server';
  return given ? `${who} does not accept the user or the password` : `${who} requires a login`;
}

/** Returns the hint for a failed or missing login. @param given true if a user and a password were sent */
export function loginHint(status: number, given: boolean): string {
  const prefix = status === 407 ? 'WMCAST_PROXY' : 'WMCAST';
  if (given) return 'Check the user name and the password.';
  const option = status === 407 ? '' : '--user or ';
  return `Log in with ${option}${prefix}_USER, and the password in ${prefix}_PASSWORD.`;
}

/**
 * Removes `user:password@` from a URL (RFC 3986 3.2.1), so that nothing that prints the URL prints them. Also works on
 * invalid URLs.
 * @returns the URL without it, and the percent-decoded credentials, or undefined without any
 */
export function takeCredentials(url: string): { url: string; credentials: Credentials | undefined } {
  const [scheme] = /^\s*[a-z][a-z0-9+.-]*:\/\//i.exec(url) ?? [];
  if (scheme === undefined) return { url, credentials: undefined };
  const [authority = ''] = url.slice(scheme.length).split(/[/?#]/, 1);
  const at = authority.lastIndexOf('@');
  if (at === -1) return { url, credentials: undefined };
  const userinfo = authority.slice(0, at);
  const rest = url.slice(scheme.length + at + 1);
  const colon = userinfo.indexOf(':');
  const user = decode(colon === -1 ? userinfo : userinfo.slice(0, colon));
  const password = colon === -1 ? '' : decode(userinfo.slice(colon + 1));
  return { url: `${scheme}${rest}`, credentials: user === '' && password === '' ? undefined : { user, password } };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    // Text that is not encoded is taken literally.
    return text;
  }
}
