import { messageOf, WmError } from '../errors.js';
import { Refusal, type RefusalKind } from '../refusal.js';
import type { ClusterBus } from './bus.js';
import type { NodeRun, Subjects } from './subjects.js';

/*
 * A request to a node and its answer: the length of a JSON text in 4 bytes, big-endian, the text, and bytes.
 */
const MAX_TEXT = 4 * 1024 * 1024;
const NOTHING = Buffer.alloc(0);
/** The longest wait for an answer by default, in ms. */
const TIMEOUT = 3_000;

/** A request or an answer. */
export interface Parcel<T = unknown> {
  readonly text: T;
  readonly bytes: Buffer;
}

/** Encodes a request or an answer. */
export function encodeParcel(text: unknown, bytes: Uint8Array = NOTHING): Buffer {
  const json = Buffer.from(JSON.stringify(text), 'utf8');
  const length = Buffer.allocUnsafe(4);
  length.writeUInt32BE(json.length, 0);
  return Buffer.concat([length, json, bytes]);
}

/** Decodes a request or an answer; its bytes are a view. @throws WmError WM_PROTOCOL */
export function decodeParcel(data: Buffer): Parcel {
  const length = data.length < 4 ? MAX_TEXT : data.readUInt32BE(0);
  if (length >= MAX_TEXT || 4 + length > data.length) throw malformed();
  try {
    return { text: JSON.parse(data.toString('utf8', 4, 4 + length)), bytes: data.subarray(4 + length) };
  } catch (error) {
    throw malformed(error);
  }
}

function malformed(cause?: unknown): WmError {
  return new WmError('WM_PROTOCOL', 'A message of another node is malformed.', { cause });
}

/** Answers a request. May throw a Refusal, which the other node gets. */
export type Answer = (text: never, bytes: Buffer) => unknown | Promise<unknown>;

/** An answer with bytes. */
export class WithBytes {
  readonly text: unknown;
  readonly bytes: Uint8Array;

  constructor(text: unknown, bytes: Uint8Array) {
    this.text = text;
    this.bytes = bytes;
  }
}

/** Requests between the nodes of a cluster. */
export class Calls {
  readonly #bus: ClusterBus;
  readonly #subjects: Subjects;
  readonly #answers = new Map<string, Answer>();
  readonly #stop: () => void;

  /** @param self this node, whose requests it answers */
  constructor(bus: ClusterBus, subjects: Subjects, self: NodeRun) {
    this.#bus = bus;
    this.#subjects = subjects;
    this.answer('ping', () => null);
    this.#stop = bus.subscribe(subjects.node(self, '*'), ({ subject, data, respond }) => {
      const answer = this.#answers.get(subject.slice(subject.lastIndexOf('.') + 1));
      // The bytes of the message are valid during this call only.
      void this.#answer(answer, Buffer.from(data), respond);
    });
  }

  /** Answers an operation from now on. */
  answer(operation: string, answer: Answer): void {
    this.#answers.set(operation, answer);
  }

  /**
   * Asks a node.
   *
   * @throws BusError if it does not answer; Refusal if it refuses
   */
  async ask<T>(
    to: NodeRun,
    operation: string,
    text: unknown,
    { timeout = TIMEOUT, bytes }: { readonly timeout?: number; readonly bytes?: Uint8Array } = {},
  ): Promise<Parcel<T>> {
    const answer = await this.#bus.request(this.#subjects.node(to, operation), encodeParcel(text, bytes), timeout);
    const parcel = decodeParcel(answer);
    const { refused, answered } = (parcel.text ?? {}) as {
      refused?: { kind: RefusalKind; message: string };
      answered: T;
    };
    if (refused) throw new Refusal(refused.kind, refused.message);
    return { text: answered, bytes: parcel.bytes };
  }

  close(): void {
    this.#stop();
  }

  async #answer(
    answer: Answer | undefined,
    data: Buffer,
    respond: ((data: Uint8Array) => void) | undefined,
  ): Promise<void> {
    let reply: Buffer;
    try {
      const { text, bytes } = decodeParcel(data);
      if (!answer) throw new Refusal('unsupported', 'This node does not know the operation.');
      const answered = await answer(text as never, bytes);
      reply =
        answered instanceof WithBytes
          ? encodeParcel({ answered: answered.text }, answered.bytes)
          : encodeParcel({ answered: answered ?? null });
    } catch (error) {
      const kind = error instanceof Refusal ? error.kind : 'failed';
      reply = encodeParcel({ refused: { kind, message: messageOf(error) } });
    }
    respond?.(reply);
  }
}
