import { HttpError } from '../../../http/message.js';
import { infoOf } from '../../../playback/content.js';
import type { Pass } from '../../../playback/entrance.js';
import { changePacket, endPacket } from '../../messages/packets.js';
import { profileFields } from '../../messages/replies.js';
import { type Handling, needsHeaderAgain, proxyClientOf } from '../handling.js';
import { askedPlay } from '../play.js';
import { chooseEntry } from '../preparation.js';
import { type ServerRequests, streamed } from '../server-requests.js';
import type { WmspSession } from '../session.js';

/** Answers Play (MS-WMSP 3.2.5.6). */
export async function play(server: ServerRequests, handling: Handling): Promise<void> {
  server.refuseHijack(handling);
  const pass = await server.enter(handling, 'Play');
  if (!pass) return;
  const isTaken = await playWith(server, handling, pass).catch((error: unknown) => {
    pass.leave();
    throw error;
  });
  if (!isTaken) pass.leave();
}

/** @returns true if a session plays and now owns the pass */
async function playWith(server: ServerRequests, handling: Handling, pass: Pass): Promise<boolean> {
  const { exchange, client, pragma, path, profile } = handling;
  const program = await pass.open(server.placeOf(handling));
  let taken = false;
  try {
    const { entry, opening, selection, skipped } = await chooseEntry(handling, program, server.replies.identity);
    const asked = askedPlay(entry, pragma, client);
    if (exchange.lost) return false;
    // Checked again, because it may have changed while the files were being opened.
    server.refuseHijack(handling);
    if (exchange.queued) throw new HttpError(400, 'This connection is already streaming.');
    const found = server.knownSession(handling);
    const session = found ?? server.newSession(handling);
    session.pipelined = profile.version9 && pragma.flag('version11-enabled') && exchange.request.minorVersion === 1;
    session.clientLag = pragma.number('client-lag') ?? 0;
    const lost =
      found === undefined && pragma.has('client-id') && needsHeaderAgain(client, pragma.number('request-context'));
    const body = lost
      ? Buffer.concat([opening, endPacket(1), changePacket(), server.replies.head(profile, program)])
      : opening;
    const wait = skipped && !session.features.has('predstrm');
    const order = { ...asked.order, selection, wait, profile: server.wantsProfile(handling) };
    if (exchange.request.method === 'HEAD') {
      const tokens = server.replies.contentTokens(handling, session, program, found === undefined);
      const fields = server.contentFields(handling, pass, infoOf(program), 'application/x-mms-framed', tokens);
      exchange.startStream(200, fields, { chunked: session.pipelined });
      return false;
    }
    server.sessions.touch(session);
    session.report = pass.report;
    server.plays.begin(session, pass, { path, client: client.text, exchange, proxyClient: proxyClientOf(handling) });
    taken = true;
    const opened = await attempt(server, session, found === undefined, () =>
      session.play(path, program, order, body, (first) => {
        if (exchange.lost || exchange.queued) return undefined;
        const tokens = server.replies.contentTokens(handling, session, program, found === undefined);
        if (first) tokens.push(...asked.granted(first.pace));
        if (skipped && profile.version9) tokens.push('expect-new-header=1');
        const fields = server.contentFields(handling, pass, infoOf(program), 'application/x-mms-framed', tokens);
        server.plays.opened(session);
        return streamed(exchange, [...fields, ...profileFields(first)], session);
      }),
    );
    if (!opened) throw new HttpError(400, 'The Play was overtaken by another request.');
    return true;
  } finally {
    if (!taken) program.close();
  }
}

/** Starts a Play in a session; if that fails, the session is as it was before. */
async function attempt(
  server: ServerRequests,
  session: WmspSession,
  isNew: boolean,
  play: () => Promise<boolean>,
): Promise<boolean> {
  try {
    return await play();
  } catch (error) {
    if (isNew) server.sessions.delete(session);
    else session.stop();
    throw error;
  }
}
