import { parseLog, type WmLog } from '../../../wmlog/log.js';
import type { Handling } from '../handling.js';
import { MAX_LOG, type ServerRequests } from '../server-requests.js';

/** Answers Log (MS-WMSP 3.2.5.11). */
export async function log(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, client, pragma, path, profile } = handling;
  const session = server.requiredSession(handling);
  const line = pragma.text('log-line');
  const body = await exchange.readBody(MAX_LOG);
  const text = line ?? body.toString('utf8');
  const form = line === undefined ? 'xml' : 'log-line';
  const log = readLog(text);
  server.options.onLog?.({
    protocol: 'WMSP',
    clientId: session.clientId,
    path,
    remoteAddress: session.address,
    client: client.text,
    form,
    text,
    log,
    peer: session,
  });
  if (log) session.report?.({ log, ...server.reporterOf(handling) });
  exchange.respond({ status: 204, fields: server.replies.of(session, profile) });
}

/** Parses a client's log; undefined if it is malformed. */
function readLog(text: string): WmLog | undefined {
  try {
    return parseLog(text);
  } catch {
    // Clients are not refused for the contents of their logs (MS-WMSP 3.2.5.11).
    return undefined;
  }
}
