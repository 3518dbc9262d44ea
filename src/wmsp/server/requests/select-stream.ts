import { switched } from '../../../playback/selection.js';
import { streamSwitches } from '../../messages/pragma.js';
import type { Handling } from '../handling.js';
import { type ServerRequests, streamed } from '../server-requests.js';

/** Answers SelectStream (MS-WMSP 3.2.5.7). */
export async function selectStream(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, pragma, profile } = handling;
  const session = server.requiredSession(handling);
  session.clientLag = pragma.number('client-lag') ?? 0;
  const switches = streamSwitches(pragma, session.streamNumbers) ?? [];
  session.select(switched(session.playback.asked, switches), true);
  if (session.pipelined && session.active && session.streamsBefore(exchange)) {
    const fields = server.replies.framed(session, profile);
    session.moveTo(() => streamed(exchange, fields, session));
  } else {
    exchange.respond({ status: 200, fields: server.replies.of(session, profile) });
  }
  if (!session.pipelined) await session.resume();
}
