import { AuthError } from '../error.js';
import { FLAGS, has } from './flags.js';

/** "NTLMSSP" with its terminating zero. */
const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');

/** The most bytes of a message: no name or response comes near it. */
const MAX_MESSAGE = 32_768;

/** The most bytes of a NEGOTIATE_MESSAGE, which a server keeps for each connection during its handshake. */
const MAX_NEGOTIATE = 1_024;

const TYPE_AT = 8;

/** 1 NEGOTIATE_MESSAGE, 2 CHALLENGE_MESSAGE, 3 AUTHENTICATE_MESSAGE. */
export type MessageType = 1 | 2 | 3;

/** Returns the MessageType of an NTLM message (MS-NLMP 2.2.1); undefined if the bytes are not one. */
export function messageType(message: Buffer): MessageType | undefined {
  if (message.length < TYPE_AT + 4 || !message.subarray(0, TYPE_AT).equals(SIGNATURE)) return undefined;
  const type = message.readUInt32LE(TYPE_AT);
  return type === 1 || type === 2 || type === 3 ? type : undefined;
}

/** NEGOTIATE_MESSAGE, from the client (MS-NLMP 2.2.1.1). */
export interface NegotiateMessage {
  readonly flags: number;
}

/** CHALLENGE_MESSAGE, from the server (MS-NLMP 2.2.1.2). */
export interface ChallengeMessage {
  readonly flags: number;
  readonly targetName: string;
  /** 8 bytes. */
  readonly serverChallenge: Buffer;
  /** AV_PAIR structures; empty if the server sends none. */
  readonly targetInfo: Buffer;
}

/** AUTHENTICATE_MESSAGE, from the client (MS-NLMP 2.2.1.3). */
export interface AuthenticateMessage {
  readonly flags: number;
  readonly lmChallengeResponse: Buffer;
  readonly ntChallengeResponse: Buffer;
  readonly domainName: string;
  readonly userName: string;
  readonly workstation: string;
  readonly encryptedRandomSessionKey: Buffer;
}

/** VERSION (MS-NLMP 2.2.2.10): Windows 10.0, NTLMSSP_REVISION_W2K3. Only used for debugging. */
const VERSION = Buffer.from([10, 0, 0, 0, 0, 0, 0, 0x0f]);

function check(message: Buffer, type: MessageType, size: number, limit = MAX_MESSAGE): void {
  if (messageType(message) !== type || message.length < size || message.length > limit) {
    throw new AuthError(`A token is not an NTLM message of type ${type}.`);
  }
}

/** The bytes that the eight bytes at `at` point to: Len, MaxLen (ignored), BufferOffset. */
function payload(message: Buffer, at: number): Buffer {
  const length = message.readUInt16LE(at);
  const offset = message.readUInt32LE(at + 4);
  if (length === 0) return Buffer.alloc(0);
  if (offset + length > message.length) throw new AuthError('An NTLM message points past its end.');
  return message.subarray(offset, offset + length);
}

function text(bytes: Buffer, flags: number): string {
  return has(flags, 'NEGOTIATE_UNICODE') ? bytes.toString('utf16le') : bytes.toString('latin1');
}

function encode(name: string, flags: number): Buffer {
  return Buffer.from(name, has(flags, 'NEGOTIATE_UNICODE') ? 'utf16le' : 'latin1');
}

/** Builds a message whose payload parts follow one another, each with its eight bytes of fields. */
function build(
  type: MessageType,
  headSize: number,
  flags: readonly [at: number, value: number],
  parts: ReadonlyArray<readonly [fieldsAt: number, value: Buffer]>,
): Buffer {
  const head = Buffer.alloc(headSize);
  SIGNATURE.copy(head);
  head.writeUInt32LE(type, TYPE_AT);
  const [flagsAt, value] = flags;
  head.writeUInt32LE(value >>> 0, flagsAt);
  let offset = headSize;
  for (const [at, part] of parts) {
    head.writeUInt16LE(part.length, at);
    head.writeUInt16LE(part.length, at + 2);
    head.writeUInt32LE(offset, at + 4);
    offset += part.length;
  }
  return Buffer.concat([head, ...parts.map(([, part]) => part)]);
}

const NEGOTIATE = { flags: 12, domainName: 16, workstation: 24, version: 32, size: 40 } as const;

/*
 * NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1), little-endian
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                 Signature: "NTLMSSP\0" (8 bytes)              |
 * +---------------------------------------------------------------+
 * |                      MessageType: 1                           |
 * +---------------------------------------------------------------+
 * |                      NegotiateFlags                           |
 * +---------------------------------------------------------------+
 * |     DomainNameFields: Len, MaxLen, BufferOffset (8 bytes)     |
 * +---------------------------------------------------------------+
 * |     WorkstationFields: Len, MaxLen, BufferOffset (8 bytes)    |
 * +---------------------------------------------------------------+
 * |                      Version (8 bytes)                        |
 * +---------------------------------------------------------------+
 * |                      Payload (variable)                       |
 * +---------------------------------------------------------------+
 */

/** Builds a NEGOTIATE_MESSAGE without names (MS-NLMP 2.2.1.1), 40 bytes. */
export function buildNegotiate({ flags }: NegotiateMessage): Buffer {
  const message = build(
    1,
    NEGOTIATE.size,
    [NEGOTIATE.flags, flags],
    [
      [NEGOTIATE.domainName, Buffer.alloc(0)],
      [NEGOTIATE.workstation, Buffer.alloc(0)],
    ],
  );
  if (has(flags, 'NEGOTIATE_VERSION')) VERSION.copy(message, NEGOTIATE.version);
  return message;
}

/**
 * Parses a NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1). Old clients omit everything after NegotiateFlags; the names are
 * ignored.
 * @throws AuthError if it is not one, or has more than 1024 bytes
 */
export function parseNegotiate(message: Buffer): NegotiateMessage {
  check(message, 1, NEGOTIATE.flags + 4, MAX_NEGOTIATE);
  return { flags: message.readUInt32LE(NEGOTIATE.flags) };
}

// The samples in MS-NLMP 4.2 have a target name without REQUEST_TARGET.
const TARGET_FLAGS = FLAGS.REQUEST_TARGET | FLAGS.TARGET_TYPE_DOMAIN | FLAGS.TARGET_TYPE_SERVER;

const CHALLENGE = {
  targetName: 12,
  flags: 20,
  serverChallenge: 24,
  targetInfo: 40,
  version: 48,
  size: 56,
  leastSize: 32,
} as const;

/*
 * CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2), little-endian
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                 Signature: "NTLMSSP\0" (8 bytes)              |
 * +---------------------------------------------------------------+
 * |                      MessageType: 2                           |
 * +---------------------------------------------------------------+
 * |     TargetNameFields: Len, MaxLen, BufferOffset (8 bytes)     |
 * +---------------------------------------------------------------+
 * |                      NegotiateFlags                           |
 * +---------------------------------------------------------------+
 * |                      ServerChallenge (8 bytes)                |
 * +---------------------------------------------------------------+
 * |                      Reserved: 0 (8 bytes)                    |
 * +---------------------------------------------------------------+
 * |     TargetInfoFields: Len, MaxLen, BufferOffset (8 bytes)     |
 * +---------------------------------------------------------------+
 * |                      Version (8 bytes)                        |
 * +---------------------------------------------------------------+
 * |                      Payload (variable)                       |
 * +---------------------------------------------------------------+
 */

/** Builds a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2): 56 bytes, the target name, the target information. */
export function buildChallenge({ flags, targetName, serverChallenge, targetInfo }: ChallengeMessage): Buffer {
  const message = build(
    2,
    CHALLENGE.size,
    [CHALLENGE.flags, flags],
    [
      [CHALLENGE.targetName, encode(targetName, flags)],
      [CHALLENGE.targetInfo, targetInfo],
    ],
  );
  serverChallenge.copy(message, CHALLENGE.serverChallenge, 0, 8);
  if (has(flags, 'NEGOTIATE_VERSION')) VERSION.copy(message, CHALLENGE.version);
  return message;
}

/**
 * Parses a CHALLENGE_MESSAGE (MS-NLMP 2.2.1.2). Old servers omit everything after ServerChallenge.
 * @throws AuthError if it is not one, or points past its end
 */
export function parseChallenge(message: Buffer): ChallengeMessage {
  check(message, 2, CHALLENGE.leastSize);
  const flags = message.readUInt32LE(CHALLENGE.flags);
  const informed = has(flags, 'NEGOTIATE_TARGET_INFO') && message.length >= CHALLENGE.targetInfo + 8;
  return {
    flags,
    targetName: (flags & TARGET_FLAGS) === 0 ? '' : text(payload(message, CHALLENGE.targetName), flags),
    serverChallenge: message.subarray(CHALLENGE.serverChallenge, CHALLENGE.serverChallenge + 8),
    targetInfo: informed ? payload(message, CHALLENGE.targetInfo) : Buffer.alloc(0),
  };
}

const AUTHENTICATE = {
  lmChallengeResponse: 12,
  ntChallengeResponse: 20,
  domainName: 28,
  userName: 36,
  workstation: 44,
  sessionKey: 52,
  flags: 60,
  version: 64,
  mic: 72,
  size: 88,
} as const;

/** Bytes of a MIC. */
const MIC_SIZE = 16;

/*
 * AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3), little-endian
 *
 *  0                   1                   2                   3
 *  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 * +---------------------------------------------------------------+
 * |                 Signature: "NTLMSSP\0" (8 bytes)              |
 * +---------------------------------------------------------------+
 * |                      MessageType: 3                           |
 * +---------------------------------------------------------------+
 * | LmChallengeResponseFields: Len, MaxLen, BufferOffset (8 bytes)|
 * +---------------------------------------------------------------+
 * | NtChallengeResponseFields: Len, MaxLen, BufferOffset (8 bytes)|
 * +---------------------------------------------------------------+
 * |     DomainNameFields: Len, MaxLen, BufferOffset (8 bytes)     |
 * +---------------------------------------------------------------+
 * |     UserNameFields: Len, MaxLen, BufferOffset (8 bytes)       |
 * +---------------------------------------------------------------+
 * |     WorkstationFields: Len, MaxLen, BufferOffset (8 bytes)    |
 * +---------------------------------------------------------------+
 * |     EncryptedRandomSessionKeyFields: the same (8 bytes)       |
 * +---------------------------------------------------------------+
 * |                      NegotiateFlags                           |
 * +---------------------------------------------------------------+
 * |                      Version (8 bytes)                        |
 * +---------------------------------------------------------------+
 * |                      MIC (16 bytes)                           |
 * +---------------------------------------------------------------+
 * |                      Payload (variable)                       |
 * +---------------------------------------------------------------+
 */

/**
 * Builds an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3) with its MIC field zero, for {@link setMic}: 88 bytes and the
 * payload. Without `mic` the field is omitted, as by clients without a MIC.
 */
export function buildAuthenticate(message: AuthenticateMessage, mic: boolean): Buffer {
  const { flags } = message;
  const built = build(
    3,
    mic ? AUTHENTICATE.size : AUTHENTICATE.mic,
    [AUTHENTICATE.flags, flags],
    [
      [AUTHENTICATE.domainName, encode(message.domainName, flags)],
      [AUTHENTICATE.userName, encode(message.userName, flags)],
      [AUTHENTICATE.workstation, encode(message.workstation, flags)],
      [AUTHENTICATE.lmChallengeResponse, message.lmChallengeResponse],
      [AUTHENTICATE.ntChallengeResponse, message.ntChallengeResponse],
      [AUTHENTICATE.sessionKey, message.encryptedRandomSessionKey],
    ],
  );
  if (has(flags, 'NEGOTIATE_VERSION')) VERSION.copy(built, AUTHENTICATE.version);
  return built;
}

/**
 * Parses an AUTHENTICATE_MESSAGE (MS-NLMP 2.2.1.3). Not the message itself but MsvAvFlags of its response says if it
 * has a MIC; see {@link micOf}.
 * @throws AuthError if it is not one, points past its end, or is of the old kind without NegotiateFlags
 */
export function parseAuthenticate(message: Buffer): AuthenticateMessage {
  check(message, 3, AUTHENTICATE.flags + 4);
  const flags = message.readUInt32LE(AUTHENTICATE.flags);
  const name = (at: number) => text(payload(message, at), flags);
  return {
    flags,
    lmChallengeResponse: payload(message, AUTHENTICATE.lmChallengeResponse),
    ntChallengeResponse: payload(message, AUTHENTICATE.ntChallengeResponse),
    domainName: name(AUTHENTICATE.domainName),
    userName: name(AUTHENTICATE.userName),
    workstation: name(AUTHENTICATE.workstation),
    encryptedRandomSessionKey: payload(message, AUTHENTICATE.sessionKey),
  };
}

/**
 * Returns the MIC of an AUTHENTICATE_MESSAGE, 16 bytes, and the message with zeros in its place. @throws AuthError if
 * it is too short
 */
export function micOf(message: Buffer): { readonly mic: Buffer; readonly zeroed: Buffer } {
  check(message, 3, AUTHENTICATE.size);
  const zeroed = Buffer.from(message);
  zeroed.fill(0, AUTHENTICATE.mic, AUTHENTICATE.mic + MIC_SIZE);
  return { mic: message.subarray(AUTHENTICATE.mic, AUTHENTICATE.mic + MIC_SIZE), zeroed };
}

/** Writes the MIC, 16 bytes, into an AUTHENTICATE_MESSAGE with room for it. */
export function setMic(message: Buffer, mic: Buffer): void {
  mic.copy(message, AUTHENTICATE.mic, 0, MIC_SIZE);
}

/** True if the flags name a character set, which every message needs (MS-NLMP 2.2.2.5). */
export function hasCharacterSet(flags: number): boolean {
  return (flags & (FLAGS.NEGOTIATE_UNICODE | FLAGS.NEGOTIATE_OEM)) !== 0;
}
