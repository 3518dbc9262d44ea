import type { GivenCredentials, Scheme } from '../../auth/dialog.js';
import type { Refusal } from '../../refusal.js';
import { type BasicCredentials, basicChallenge, type NtlmToken, ntlmToken } from '../messages/token.js';

/**
 * Returns the schemes by which an MMSP client may log in. There is no TLS, and Basic exposes the password to everyone
 * on the path, so only clients on this host may use it. Clients below version 8 know only the scheme that
 * ReportConnectedEX named, NTLM (MS-MMSP 3.2.5.6).
 */
export function schemesFor(major: number, isLocal: boolean): readonly Scheme[] {
  return isLocal && major >= 8 ? ['ntlm', 'basic'] : ['ntlm'];
}

/** Converts a client's credentials to the protocol-neutral form. */
export function givenCredentials(given: NtlmToken | BasicCredentials): GivenCredentials {
  return given.scheme === 'ntlm'
    ? { scheme: 'NTLM', token: given.token.toString('base64') }
    : { scheme: 'Basic', token: given.credentials };
}

/**
 * Returns the pToken of the SecurityChallenge that a refusal calls for (MS-MMSP 2.2.4.14).
 *
 * @param wrapped true if the client sent its token in an NTLM_AUTH structure, and expects the challenge in one
 *   (3.2.5.7)
 * @returns undefined if another attempt would not help
 */
export function challengeOf({ kind, challenges }: Refusal, wrapped: boolean): Buffer | undefined {
  if (kind !== 'unauthorized') return undefined;
  const of = (name: string) => challenges.find(({ scheme }) => scheme.toLowerCase() === name);
  const ntlm = of('ntlm');
  if (ntlm) return ntlmToken(Buffer.from(ntlm.token ?? '', 'base64'), wrapped);
  const basic = of('basic');
  return basic && basicChallenge(/realm="([^"]*)"/i.exec(basic.token ?? '')?.[1] ?? '');
}
