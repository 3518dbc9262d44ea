import type { Field } from '../../http/message.js';
import { SERVER_NAME } from '../../wmsp/messages/responses.js';

/** Returns the fields of every response to a client that does not speak the protocol. */
export function webFields(contentType: string): Field[] {
  return [
    ['Server', SERVER_NAME],
    ['Content-Type', contentType],
    ['Cache-Control', 'no-cache'],
  ];
}
