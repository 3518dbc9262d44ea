import { HttpError } from '../../../http/message.js';
import { infoOf } from '../../../playback/content.js';
import { PACKET_PAIR_SIZE } from '../../../wms/packet-pair.js';
import { packetPair } from '../../messages/packets.js';
import { type Handling, withAppended } from '../handling.js';
import type { ServerRequests } from '../server-requests.js';

/** Answers Describe (MS-WMSP 3.2.5.4). */
export async function describe(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, profile } = handling;
  const pass = await server.enter(handling, 'Describe');
  if (!pass) return;
  const program = await pass.open();
  try {
    const found = server.knownSession(handling);
    if (found?.active) throw new HttpError(400, 'The session is streaming.');
    const session = found ?? server.newSession(handling);
    const head = server.replies.head(profile, program);
    const experiments = experimentsOf(server, handling);
    const tokens = [...server.replies.contentTokens(handling, session, program, found === undefined), ...experiments];
    const fields = server.contentFields(handling, pass, infoOf(program), 'application/vnd.ms.wms-hdr.asfv1', tokens);
    const close = profile.closesAfterDescribe;
    if (experiments.includes('packet-pair-experiment=1')) {
      const parts = (headSize: number) => withAppended(packetPair(headSize), head);
      exchange.respond({ status: 200, fields, body: { length: PACKET_PAIR_SIZE + head.length, parts }, close });
    } else {
      exchange.respond({ status: 200, fields, body: head, close });
    }
    session.report = pass.report;
    session.recordDescribed(handling.path, program.current);
    server.sessions.touch(session);
  } finally {
    program.close();
  }
}

/** Returns the tokens of the experiments that a Describe runs (MS-WMSP 3.2.5.4). */
function experimentsOf(server: ServerRequests, { profile, pragma, exchange }: Handling): string[] {
  if (!profile.version9 || server.replies.identity.encoder) return [];
  const pipeline = pragma.flag('pipeline-experiment') && exchange.request.minorVersion === 1;
  return [
    ...(pragma.flag('packet-pair-experiment') ? ['packet-pair-experiment=1'] : []),
    ...(pipeline ? ['pipeline-experiment=1'] : []),
  ];
}
