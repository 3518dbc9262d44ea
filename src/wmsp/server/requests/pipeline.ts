import { HttpError } from '../../../http/message.js';
import type { Handling } from '../handling.js';
import { PipelineTest } from '../pipeline-test.js';
import type { ServerRequests } from '../server-requests.js';

/** Finds out whether two requests get through back to back on the way from the client (MS-WMSP 3.2.5.5). */
export function pipeline(server: ServerRequests, handling: Handling): void {
  const { exchange, profile } = handling;
  const session = server.requiredSession(handling);
  if (!profile.version9) throw new HttpError(400, 'Pipelining came with version 9.0.');
  if (exchange.request.minorVersion === 0) throw new HttpError(400, 'Pipelining needs HTTP/1.1.');
  const test = session.pipelineTest;
  if (!test) {
    if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
    const stream = exchange.startStream(200, server.replies.framed(session, profile), { chunked: true });
    session.pipelineTest = new PipelineTest(stream, server.playback.ticker, server.now);
    return;
  }
  session.pipelineTest = undefined;
  const result = test.running ? 1 : 0;
  test.end();
  const fields = server.replies.of(session, profile, `pipeline-result=${result}`);
  exchange.respond({ status: 204, minorVersion: result, fields });
}
