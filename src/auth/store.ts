/** A password for Basic: scrypt (RFC 7914) of its UTF-8 bytes. */
export interface ScryptSecret {
  readonly salt: Buffer;
  readonly hash: Buffer;
  /** Cost, a power of two. */
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

/** A password for Digest: HA1 (RFC 7616 3.4.2) with each hash function, in hexadecimal. */
export interface DigestSecret {
  readonly realm: string;
  readonly md5: string;
  readonly sha256: string;
}

/** A user, and the secrets for the schemes that the user may log in with. */
export interface UserEntry {
  readonly name: string;
  readonly groups: readonly string[];
  readonly basic?: ScryptSecret;
  readonly digest?: DigestSecret;
  /** NTOWFv1 (MS-NLMP 3.3.1), 16 bytes. */
  readonly nt?: Buffer;
}

/** A server's source of users. */
export interface CredentialStore {
  /**
   * @param name as the client wrote it; stores ignore case, as NTLM does
   * @throws WmError if the store cannot be read
   */
  find(name: string): Promise<UserEntry | undefined>;
}

/** The key of a user name: ignores case, and if accents are separate characters. */
export function userKey(name: string): string {
  return name.normalize('NFC').toLowerCase();
}
