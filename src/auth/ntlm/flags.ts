/** The NegotiateFlags used here (MS-NLMP 2.2.2.5), without the prefix NTLMSSP_. */
export const FLAGS = {
  NEGOTIATE_UNICODE: 0x0000_0001,
  NEGOTIATE_OEM: 0x0000_0002,
  REQUEST_TARGET: 0x0000_0004,
  NEGOTIATE_SIGN: 0x0000_0010,
  NEGOTIATE_SEAL: 0x0000_0020,
  NEGOTIATE_NTLM: 0x0000_0200,
  NEGOTIATE_ALWAYS_SIGN: 0x0000_8000,
  TARGET_TYPE_DOMAIN: 0x0001_0000,
  TARGET_TYPE_SERVER: 0x0002_0000,
  NEGOTIATE_EXTENDED_SESSIONSECURITY: 0x0008_0000,
  NEGOTIATE_TARGET_INFO: 0x0080_0000,
  NEGOTIATE_VERSION: 0x0200_0000,
  NEGOTIATE_128: 0x2000_0000,
  NEGOTIATE_KEY_EXCH: 0x4000_0000,
  NEGOTIATE_56: 0x8000_0000,
} as const;

/** True if a flag is set. */
export function has(flags: number, flag: keyof typeof FLAGS): boolean {
  return (flags & FLAGS[flag]) !== 0;
}

/** Returns the 32-bit sum of flags. */
export function flagsOf(...names: ReadonlyArray<keyof typeof FLAGS>): number {
  return names.reduce((flags, name) => (flags | FLAGS[name]) >>> 0, 0);
}
