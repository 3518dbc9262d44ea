import { finishFields } from '../../../auth/header-dialog.js';
import type { Handling } from '../handling.js';
import { MAX_LOG, type ServerRequests } from '../server-requests.js';

/** Answers SendEvent (MS-WMSP 3.2.5.12). */
export async function sendEvent(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, profile, path } = handling;
  const session = server.optionalSession(handling);
  const pass = await server.enter(handling, 'SendEvent');
  if (!pass) return;
  const body = await exchange.readBody(MAX_LOG);
  server.options.onEvent?.(path, body.toString('utf8'));
  pass.report({ event: body, ...server.reporterOf(handling) });
  const fields = [...server.replies.of(session, profile), ...finishFields(pass.finish, exchange.request)];
  exchange.respond({ status: 200, fields });
}
