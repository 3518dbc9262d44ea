import type { GivenCredentials, Scheme } from '../../auth/dialog.js';
import type { Refusal } from '../../refusal.js';
import { type BasicCredentials, basicChallenge, type NtlmToken, ntlmToken } from '../messages/token.js';

/**
 * How a client of MMSP may log in. There is no TLS, so Basic shows the password to everybody on the way: only this host may use it.
 * Clients below version 8 know only the scheme that ReportConnectedEX named (MS-MMSP 3.2.5.6), which is NTLM.
 */
export function schemesFor(major: number, isLocal: boolean): readonly Scheme[] {
  return isLocal && major >= 8 ? ['ntlm', 'basic'] : ['ntlm'];
}

/** Credentials of a client in the words of no protocol. */
export function givenCredentials(given: NtlmToken | BasicCredentials): GivenCredentials {
  return given.scheme === 'ntlm'
    ? { scheme: 'NTLM', token: given.token.toString('base64') }
    : { scheme: 'Basic', token: given.credentials };
}

/**
 * pToken of the SecurityChallenge that a refusal calls for (MS-MMSP 2.2.4.14).
 *
 * @param wrapped the client put its token into an NTLM_AUTH structure, and gets the challenge so (3.2.5.7)
 * @returns undefined when another try would not help
 */
export function challengeOf({ kind, challenges }: Refusal, wrapped: boolean): Buffer | undefined {
  if (kind !== 'unauthorized') return undefined;
  const of = (name: string) => challenges.find(({ scheme }) => scheme.toLowerCase() === name);
  const ntlm = of('ntlm');
  if (ntlm) return ntlmToken(Buffer.from(ntlm.token ?? '', 'base64'), wrapped);
  const basic = of('basic');
  return basic && basicChallenge(/realm="([^"]*)"/i.exec(basic.token ?? '')?.[1] ?? '');
}
