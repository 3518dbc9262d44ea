import { finishFields } from '../../../auth/header-dialog.js';
import type { Handling } from '../handling.js';
import type { ServerRequests } from '../server-requests.js';

/** Answers GetContentInfo (MS-WMSP 3.2.5.3). */
export async function getContentInfo(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, profile, pragma } = handling;
  const session = server.optionalSession(handling);
  const pass = await server.enter(handling, 'GetContentInfo');
  if (!pass) return;
  const { cacheControl, validators } = server.replies.cache(profile, await pass.info());
  const fields = server.replies.common(profile, session ? server.replies.idTokens(session) : [], cacheControl);
  fields.push(...validators, ...finishFields(pass.finish, exchange.request));
  // A proxy asks before each of its sessions: it keeps one connection for that if it says that it can (2.2.1.4.30).
  const isPipelined = pragma.flag('version11-enabled') && exchange.request.minorVersion === 1;
  exchange.respond({ status: 200, fields, close: !(isPipelined || session?.pipelined) });
}
