import { HttpError } from '../../../http/message.js';
import type { Started } from '../../../playback/port.js';
import { NO_STREAMS, switched } from '../../../playback/selection.js';
import { streamSwitches } from '../../messages/pragma.js';
import { profileFields } from '../../messages/replies.js';
import { featuresOf } from '../../messages/responses.js';
import type { Handling } from '../handling.js';
import { askedPlay } from '../play.js';
import { type ServerRequests, streamed } from '../server-requests.js';

/** Answers PlayNextEntry (MS-WMSP 3.2.5.9). */
export async function playNextEntry(server: ServerRequests, handling: Handling): Promise<void> {
  const { exchange, client, pragma, profile } = handling;
  const session = server.requiredSession(handling);
  const { program } = session.playback;
  if (!session.pipelined || !program || !session.streamsBefore(exchange) || session.playback.state === 'starting')
    throw new HttpError(400, 'No entry is waiting to be played.');
  session.clientLag = pragma.number('client-lag') ?? 0;
  const switches = streamSwitches(pragma, session.streamNumbers);
  const { awaited } = session;
  const asked = awaited && askedPlay(awaited, pragma, client);
  if (switches) session.select(switched(NO_STREAMS, switches), false);
  const open = (first?: Started) => {
    const features = `features="${featuresOf(program.current, program, profile).join(',')}"`;
    const granted = (first && asked?.granted(first.pace)) ?? [];
    const fields = [...server.replies.framed(session, profile, features, ...granted), ...profileFields(first)];
    return streamed(exchange, fields, session);
  };
  if (!asked) {
    session.confirmNext(open);
    return;
  }
  const order = { ...asked.order, profile: server.wantsProfile(handling) };
  const opened = await session.playNext(order, exchange, open);
  if (!opened) throw new HttpError(400, 'No entry is waiting to be played.');
}
