import { timingSafeEqual } from 'node:crypto';
import { AuthError } from './error.js';
import { type AcceptorStep, NtlmAcceptor, type NtlmAcceptorOptions, type NtlmSession } from './ntlm/acceptor.js';
import type { NtlmClient } from './ntlm/client.js';
import { messageType } from './ntlm/messages.js';
import {
  buildNegTokenInit,
  buildNegTokenResp,
  NEG_STATE,
  type NegTokenInit,
  type NegTokenResp,
  NTLM_ONLY,
  parseNegToken,
} from './spnego.js';

/** The server's side of a handshake of several tokens on one connection. */
export interface Acceptor {
  /**
   * Takes the client's next token.
   * @throws AuthError if it is malformed or out of order; this ends the handshake
   */
  step(token: Buffer): AcceptorStep;
}

/**
 * NTLM under the scheme NTLM (MS-NTHT), and bare NTLM messages under Negotiate, which Windows sends (MS-WMHTTP 4.8).
 */
export class RawAcceptor implements Acceptor {
  readonly #ntlm: NtlmAcceptor;

  constructor(options: NtlmAcceptorOptions) {
    this.#ntlm = new NtlmAcceptor(options);
  }

  step(token: Buffer): AcceptorStep {
    if (messageType(token) === 1) return { kind: 'reply', token: this.#ntlm.challenge(token) };
    const message = this.#ntlm.read(token);
    return {
      kind: 'authenticate',
      userName: message.userName,
      verify: (ntHash) => (this.#ntlm.verify(message, token, ntHash) ? { token: undefined } : undefined),
    };
  }
}

/** NTLM in SPNEGO (RFC 4178, RFC 4559). */
class SpnegoAcceptor implements Acceptor {
  readonly #ntlm: NtlmAcceptor;
  #init: NegTokenInit | undefined;

  constructor(options: NtlmAcceptorOptions) {
    this.#ntlm = new NtlmAcceptor(options);
  }

  step(token: Buffer): AcceptorStep {
    const parsed = parseNegToken(token);
    if (parsed.kind === 'init') return this.#begin(parsed);
    const { responseToken } = parsed;
    if (!this.#init || !responseToken) throw new AuthError('A Negotiate handshake is out of order.');
    if (messageType(responseToken) === 1) return this.#challenge(responseToken, false);
    const message = this.#ntlm.read(responseToken);
    return {
      kind: 'authenticate',
      userName: message.userName,
      verify: (ntHash) => {
        const session = this.#ntlm.verify(message, responseToken, ntHash);
        return session && this.#complete(parsed, session);
      },
    };
  }

  #begin(init: NegTokenInit): AcceptorStep {
    if (init.ntlmAt < 0) throw new AuthError('The client does not offer NTLM under Negotiate.');
    this.#init = init;
    if (init.ntlmAt === 0 && init.mechToken) return this.#challenge(init.mechToken, true);
    // The client prefers Kerberos, which is not supported; the lists have to be protected then (RFC 4178 5).
    return { kind: 'reply', token: buildNegTokenResp({ negState: NEG_STATE.requestMic }, true) };
  }

  #challenge(negotiate: Buffer, first: boolean): AcceptorStep {
    const responseToken = this.#ntlm.challenge(negotiate);
    return {
      kind: 'reply',
      token: buildNegTokenResp({ negState: NEG_STATE.acceptIncomplete, responseToken }, first),
    };
  }

  #complete({ mechListMic }: NegTokenResp, session: NtlmSession): { token: Buffer } | undefined {
    const { mechTypeList, ntlmAt } = this.#init!;
    if (mechListMic === undefined) {
      if (ntlmAt !== 0) return undefined;
      return { token: buildNegTokenResp({ negState: NEG_STATE.acceptCompleted }) };
    }
    const expected = session.signer('client')?.sign(mechTypeList);
    if (expected?.length !== mechListMic.length || !timingSafeEqual(expected, mechListMic)) return undefined;
    const ours = session.signer('server')?.sign(mechTypeList);
    return { token: buildNegTokenResp({ negState: NEG_STATE.acceptCompleted, mechListMic: ours }) };
  }
}

/** The scheme Negotiate: SPNEGO or bare NTLM messages, depending on the client's first token. */
export class NegotiateAcceptor implements Acceptor {
  readonly #options: NtlmAcceptorOptions;
  #inner: Acceptor | undefined;

  constructor(options: NtlmAcceptorOptions) {
    this.#options = options;
  }

  step(token: Buffer): AcceptorStep {
    this.#inner ??=
      messageType(token) === undefined ? new SpnegoAcceptor(this.#options) : new RawAcceptor(this.#options);
    return this.#inner.step(token);
  }
}

/** The client's side of NTLM in SPNEGO. */
export class SpnegoClient {
  readonly #ntlm: NtlmClient;

  constructor(ntlm: NtlmClient) {
    this.#ntlm = ntlm;
  }

  /** The first token. */
  get negotiate(): Buffer {
    return buildNegTokenInit(this.#ntlm.negotiate);
  }

  /**
   * Answers the server's token, which may also be a bare NTLM message.
   * @throws AuthError if it is malformed or a rejection
   */
  authenticate(token: Buffer): Buffer {
    if (messageType(token) === 2) return this.#ntlm.authenticate(token).message;
    const parsed = parseNegToken(token);
    if (parsed.kind !== 'resp' || !parsed.responseToken) throw new AuthError('The Negotiate token has no challenge.');
    const { message, signer } = this.#ntlm.authenticate(parsed.responseToken);
    return buildNegTokenResp({
      negState: NEG_STATE.acceptIncomplete,
      responseToken: message,
      mechListMic: signer?.sign(NTLM_ONLY),
    });
  }
}
