import { messageOf } from '../errors.js';
import { BodyReader } from '../http/body.js';
import {
  type BodyFraming,
  type HeaderFields,
  headLength,
  MAX_HEAD_SIZE,
  parseRequestHead,
  parseResponseHead,
  requestBodyFraming,
  responseBodyFraming,
} from '../http/message.js';
import type { ConnectionRecord, Side } from './recording.js';

/** Bytes of a body, without its transfer coding, and when they came. */
export interface Part {
  readonly at: number;
  readonly bytes: Buffer;
}

/** A request or a response. */
export interface Message {
  readonly headers: HeaderFields;
  readonly minorVersion: 0 | 1;
  /** When its last byte of the head came, in ms. */
  readonly at: number;
  /** The bytes of the head, with its empty line. */
  readonly headSize: number;
  readonly framing: BodyFraming;
  readonly body: readonly Part[];
  /** True if the body is as long as the head says; up to the end of the connection if it says nothing. */
  readonly complete: boolean;
  /** When it was complete. */
  readonly endedAt: number | undefined;
}

export interface RequestMessage extends Message {
  readonly method: string;
  readonly target: string;
}

export interface ResponseMessage extends Message {
  readonly status: number;
}

/** A request and its response, in the order in which they were sent. */
export interface Exchange {
  readonly connection: ConnectionRecord;
  readonly request: RequestMessage;
  readonly response: ResponseMessage | undefined;
}

/** One connection, read as HTTP. */
export interface Dialog {
  readonly connection: ConnectionRecord;
  readonly exchanges: readonly Exchange[];
  /** What could not be read, at most one for each side: nothing after it is read. */
  readonly faults: ReadonlyArray<{ readonly from: Side; readonly message: string }>;
  /** Bytes of the server after its last expected response. */
  readonly surplus: number;
}

/** Reads a connection as HTTP/1 (RFC 9112). */
export function readDialog(connection: ConnectionRecord): Dialog {
  const client = readSide<RequestMessage>(connection, 'client', (head) => {
    const parsed = parseRequestHead(head);
    return { parsed, framing: requestBodyFraming(parsed) };
  });
  const methods = client.messages.map(({ method }) => method);
  let expected = 0;
  const server = readSide<ResponseMessage>(connection, 'server', (head) => {
    const method = methods[expected];
    // Anything after the last response is surplus.
    if (method === undefined) return undefined;
    const parsed = parseResponseHead(head);
    if (parsed.status >= 200) expected++;
    return { parsed, framing: responseBodyFraming(parsed, method) };
  });
  const responses = server.messages.filter(({ status }) => status >= 200);
  return {
    connection,
    exchanges: client.messages.map((request, index) => ({ connection, request, response: responses[index] })),
    faults: [
      ...(client.fault === undefined ? [] : [{ from: 'client' as const, message: client.fault }]),
      ...(server.fault === undefined ? [] : [{ from: 'server' as const, message: server.fault }]),
    ],
    surplus: server.rest,
  };
}

type Parsed<M> = {
  readonly parsed: Omit<M, keyof Message> & Pick<Message, 'headers' | 'minorVersion'>;
  readonly framing: BodyFraming;
};

interface ReadSide<M> {
  readonly messages: readonly M[];
  readonly fault: string | undefined;
  /** Bytes that belong to no message. */
  readonly rest: number;
}

/** @param parse returns undefined if no message is expected */
function readSide<M extends Message>(
  connection: ConnectionRecord,
  side: Side,
  parse: (head: Buffer) => Parsed<M> | undefined,
): ReadSide<M> {
  const messages: M[] = [];
  let reader: BodyReader | undefined;
  let body: Part[] = [];
  let unread: Buffer = Buffer.alloc(0);
  let fault: string | undefined;
  let isOver = false;
  const finish = (at: number) => {
    const last = messages.pop();
    if (last) messages.push({ ...last, complete: true, endedAt: at });
    reader = undefined;
  };
  const takeHead = (at: number): boolean => {
    const size = headLength(unread);
    if (size === 0) {
      if (unread.length > MAX_HEAD_SIZE) throw new Error(`a head of more than ${MAX_HEAD_SIZE} bytes`);
      return false;
    }
    const read = parse(unread.subarray(0, size));
    if (!read) return false;
    unread = unread.subarray(size);
    body = [];
    const { parsed, framing } = read;
    messages.push({
      ...parsed,
      at,
      headSize: size,
      framing,
      body,
      complete: false,
      endedAt: undefined,
    } as unknown as M);
    reader = new BodyReader(framing, { strict: side === 'client' });
    if (reader.done) finish(at);
    return true;
  };
  for (const { at, from, bytes } of connection.chunks) {
    if (from !== side || fault !== undefined) continue;
    unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes]);
    try {
      for (isOver = false; !isOver && unread.length > 0; ) {
        if (reader) {
          unread = reader.feed(unread, (part) => body.push({ at, bytes: part }));
          if (reader.done) finish(at);
        } else isOver = !takeHead(at);
      }
    } catch (error) {
      fault = messageOf(error);
    }
  }
  if (reader?.endsWithConnection && connection.end?.by === side && !connection.end.reset) finish(connection.end.at);
  return { messages, fault, rest: unread.length };
}

/** Returns the bytes of a body. */
export function bodyOf({ body }: Message): Buffer {
  return Buffer.concat(body.map(({ bytes }) => bytes));
}
