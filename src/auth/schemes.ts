import type { Scheme } from './dialog.js';

/** The schemes as header fields name them, the strongest first. */
export const SCHEME_NAMES = {
  negotiate: 'Negotiate',
  ntlm: 'NTLM',
  digest: 'Digest',
  basic: 'Basic',
} as const satisfies Record<Scheme, string>;

/** All schemes, the strongest first. */
export const ALL_SCHEMES: readonly Scheme[] = ['negotiate', 'ntlm', 'digest', 'basic'];

/** What a client says that it accepts: all but Basic, as Windows does (MS-WMHTTP 3.1.4.1.1), since nobody is to prefer that. */
export const ACCEPTED_SCHEMES: readonly string[] = ALL_SCHEMES.filter((scheme) => scheme !== 'basic').map(
  (scheme) => SCHEME_NAMES[scheme],
);

/** A scheme by its name in a header field, in any case. */
export function schemeOf(name: string): Scheme | undefined {
  const lower = name.trim().toLowerCase();
  return ALL_SCHEMES.find((scheme) => scheme === lower);
}

/**
 * The schemes for a challenge (MS-WMSP 3.2.5.1): those of the server that X-Accept-Authentication lists, in its order. Where it lists
 * none of them, or is not there, all of the server in its own order.
 *
 * @param accepts the values of the fields, each of which may hold several names
 */
export function schemesFor(enabled: readonly Scheme[], accepts: readonly string[] = []): readonly Scheme[] {
  const wanted = accepts.flatMap((value) => value.split(',').map(schemeOf));
  const common = new Set(wanted.filter((scheme) => scheme !== undefined && enabled.includes(scheme)));
  return common.size > 0 ? ([...common] as Scheme[]) : enabled;
}
