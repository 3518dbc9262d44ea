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

/**
 * The schemes that a client says it accepts: all but Basic, as in Windows (MS-WMHTTP 3.1.4.1.1), so that no server
 * prefers Basic.
 */
export const ACCEPTED_SCHEMES: readonly string[] = ALL_SCHEMES.filter((scheme) => scheme !== 'basic').map(
  (scheme) => SCHEME_NAMES[scheme],
);

/** Returns a scheme by its name in a header field, in any case. */
export function schemeOf(name: string): Scheme | undefined {
  const lower = name.trim().toLowerCase();
  return ALL_SCHEMES.find((scheme) => scheme === lower);
}

/**
 * Returns the schemes for a challenge (MS-WMSP 3.2.5.1): those of the server that X-Accept-Authentication lists, in its
 * order. If it lists none of them or is absent, all of the server's in its own order.
 * @param accepts the values of the fields, each of which may have several names
 */
export function schemesFor(enabled: readonly Scheme[], accepts: readonly string[] = []): readonly Scheme[] {
  const wanted = accepts.flatMap((value) => value.split(',').map(schemeOf));
  const common = new Set(wanted.filter((scheme) => scheme !== undefined && enabled.includes(scheme)));
  return common.size > 0 ? ([...common] as Scheme[]) : enabled;
}
