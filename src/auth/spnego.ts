import { AuthError } from './error.js';

/** SPNEGO (RFC 4178 3) as DER octets. */
const SPNEGO_OID = Buffer.from('2b0601050502', 'hex');
/** 1.3.6.1.4.1.311.2.2.10 (MS-NLMP 1.9). */
const NTLM_OID = Buffer.from('2b06010401823702020a', 'hex');

const MAX_MECHANISMS = 16;
/** The most bytes of a MechTypeList, which a server keeps for each connection during its handshake. */
const MAX_LIST = 512;

const TAG = { octets: 0x04, oid: 0x06, enumerated: 0x0a, sequence: 0x30, application: 0x60, context: 0xa0 } as const;

/** negState (RFC 4178 4.2.2). */
export const NEG_STATE = { acceptCompleted: 0, acceptIncomplete: 1, reject: 2, requestMic: 3 } as const;
/** The state of a negotiation as a server reports it (RFC 4178 4.2.2). */
export type NegState = (typeof NEG_STATE)[keyof typeof NEG_STATE];

/** A client's first token (RFC 4178 4.2.1). */
export interface NegTokenInit {
  readonly kind: 'init';
  /** The DER of MechTypeList, from which the MICs are computed. */
  readonly mechTypeList: Buffer;
  /** Position of NTLM in it; -1 if absent. */
  readonly ntlmAt: number;
  /** The first message of the first mechanism. */
  readonly mechToken: Buffer | undefined;
}

/** Every later token, from either side (RFC 4178 4.2.2). */
export interface NegTokenResp {
  readonly kind: 'resp';
  readonly negState?: NegState | undefined;
  readonly responseToken?: Buffer | undefined;
  readonly mechListMic?: Buffer | undefined;
}

/** Consecutive DER elements (X.690), with lengths of up to 2 bytes. */
class DerReader {
  #rest: Buffer;

  constructor(bytes: Buffer) {
    this.#rest = bytes;
  }

  get tag(): number | undefined {
    return this.#rest[0];
  }

  /** The contents of the next element, if it has this tag. @throws AuthError if it is cut off */
  optional(tag: number): DerReader | undefined {
    return this.tag === tag ? this.#element() : undefined;
  }

  /** @throws AuthError if the next element has another tag, or is cut off */
  required(tag: number): DerReader {
    const found = this.optional(tag);
    if (!found) throw new AuthError('A Negotiate token is malformed.');
    return found;
  }

  get bytes(): Buffer {
    return this.#rest;
  }

  #element(): DerReader {
    const first = this.#rest[1] ?? 0xff;
    const digits = first < 0x80 ? 0 : first & 0x7f;
    const start = 2 + digits;
    if (digits > 2 || (first >= 0x80 && digits === 0) || this.#rest.length < start) {
      throw new AuthError('A Negotiate token is malformed.');
    }
    const length = digits === 0 ? first : this.#rest.readUIntBE(2, digits);
    const end = start + length;
    if (end > this.#rest.length) throw new AuthError('A Negotiate token is cut off.');
    const contents = new DerReader(this.#rest.subarray(start, end));
    this.#rest = this.#rest.subarray(end);
    return contents;
  }
}

function der(tag: number, ...contents: readonly Buffer[]): Buffer {
  const length = contents.reduce((sum, part) => sum + part.length, 0);
  const head =
    length < 0x80 ? [tag, length] : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), ...contents]);
}

const context = (number: number, ...contents: readonly Buffer[]) => der(TAG.context + number, ...contents);

/** The MechTypeList of a client that only speaks NTLM. */
export const NTLM_ONLY = der(TAG.sequence, der(TAG.oid, NTLM_OID));

/*
 * NegTokenInit in the InitialContextToken of GSS-API (RFC 4178 4.2.1, RFC 2743 3.1), DER
 *
 *   60 length
 *     06 06 2B 06 01 05 05 02          OID of SPNEGO
 *     A0 length                        [0] NegTokenInit
 *       30 length
 *         A0 length 30 length          [0] mechTypes: MechTypeList
 *           06 length OID ...
 *         A1 length 03 length          [1] reqFlags, ignored
 *         A2 length 04 length          [2] mechToken
 *         A3 length 04 length          [3] mechListMIC, of no use here
 *
 * NegTokenResp (RFC 4178 4.2.2), DER
 *
 *   A1 length                          [1] NegTokenResp
 *     30 length
 *       A0 03 0A 01 state              [0] negState
 *       A1 length 06 length OID        [1] supportedMech
 *       A2 length 04 length            [2] responseToken
 *       A3 length 04 length            [3] mechListMIC
 */

/** Builds the first token of a client that only speaks NTLM (RFC 4178 4.2.1). */
export function buildNegTokenInit(mechToken: Buffer): Buffer {
  const fields = der(TAG.sequence, context(0, NTLM_ONLY), context(2, der(TAG.octets, mechToken)));
  return der(TAG.application, der(TAG.oid, SPNEGO_OID), context(0, fields));
}

/** Builds any other token (RFC 4178 4.2.2); `supportedMech` adds the name of NTLM, as in a server's first one. */
export function buildNegTokenResp(response: Omit<NegTokenResp, 'kind'>, supportedMech = false): Buffer {
  const { negState, responseToken, mechListMic } = response;
  const fields = [
    ...(negState === undefined ? [] : [context(0, der(TAG.enumerated, Buffer.from([negState])))]),
    ...(supportedMech ? [context(1, der(TAG.oid, NTLM_OID))] : []),
    ...(responseToken === undefined ? [] : [context(2, der(TAG.octets, responseToken))]),
    ...(mechListMic === undefined ? [] : [context(3, der(TAG.octets, mechListMic))]),
  ];
  return context(1, der(TAG.sequence, ...fields));
}

/**
 * Parses a token of either kind. Reads at most 16 mechanisms.
 * @throws AuthError if it is not SPNEGO
 */
export function parseNegToken(token: Buffer): NegTokenInit | NegTokenResp {
  const outer = new DerReader(token);
  if (outer.tag === TAG.context + 1) return parseResp(outer.required(TAG.context + 1).required(TAG.sequence));
  const inner = outer.required(TAG.application);
  if (!inner.required(TAG.oid).bytes.equals(SPNEGO_OID)) throw new AuthError('A Negotiate token is not SPNEGO.');
  return parseInit(inner.required(TAG.context).required(TAG.sequence));
}

function parseInit(fields: DerReader): NegTokenInit {
  const wrapped = fields.required(TAG.context);
  if (wrapped.bytes.length > MAX_LIST) throw new AuthError('A Negotiate token has too many mechanisms.');
  // A copy, so that the rest of the token need not be kept.
  const mechTypeList = Buffer.from(wrapped.bytes);
  const list = wrapped.required(TAG.sequence);
  const mechanisms: Buffer[] = [];
  while (list.tag !== undefined) {
    if (mechanisms.length >= MAX_MECHANISMS) throw new AuthError('A Negotiate token has too many mechanisms.');
    mechanisms.push(list.required(TAG.oid).bytes);
  }
  fields.optional(TAG.context + 1);
  const mechToken = fields.optional(TAG.context + 2)?.required(TAG.octets).bytes;
  return { kind: 'init', mechTypeList, ntlmAt: mechanisms.findIndex((oid) => oid.equals(NTLM_OID)), mechToken };
}

function parseResp(fields: DerReader): NegTokenResp {
  const state = fields.optional(TAG.context)?.required(TAG.enumerated).bytes;
  fields.optional(TAG.context + 1);
  const responseToken = fields.optional(TAG.context + 2)?.required(TAG.octets).bytes;
  const mechListMic = fields.optional(TAG.context + 3)?.required(TAG.octets).bytes;
  return { kind: 'resp', negState: stateOf(state), responseToken, mechListMic };
}

function stateOf(bytes: Buffer | undefined): NegState | undefined {
  if (bytes === undefined) return undefined;
  const state = Object.values(NEG_STATE).find((known) => known === bytes[0]);
  if (state === undefined || bytes.length !== 1) throw new AuthError('A Negotiate token has an unknown state.');
  return state;
}
