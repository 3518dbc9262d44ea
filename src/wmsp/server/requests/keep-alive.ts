import { HttpError } from '../../../http/message.js';
import { ALLOWED } from '../../../http/methods.js';
import type { Handling } from '../handling.js';
import type { ServerRequests } from '../server-requests.js';

/** Answers KeepAlive (MS-WMSP 3.2.5.8). */
export function keepAlive(server: ServerRequests, handling: Handling): void {
  const { exchange, profile } = handling;
  const session = server.knownSession(handling);
  if (!session && exchange.request.method !== 'OPTIONS') throw new HttpError(400, 'The client-id is unknown.');
  if (session) server.sessions.touch(session);
  const allow = exchange.request.method === 'OPTIONS' ? [ALLOWED] : [];
  exchange.respond({
    status: 200,
    fields: [...server.replies.of(session, profile), ...allow],
    close: !session?.pipelined,
  });
}
