import type { Handling } from '../handling.js';
import type { ServerRequests } from '../server-requests.js';

/** Answers Stop (MS-WMSP 3.2.5.10). */
export function stop(server: ServerRequests, handling: Handling): void {
  const session = server.requiredSession(handling);
  session.stop();
  handling.exchange.respond({ status: 200, fields: server.replies.of(session, handling.profile) });
}
