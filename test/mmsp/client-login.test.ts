import { ClientAuthenticator } from '../../src/auth/client.js';
import * as messages from '../../src/mmsp/messages/server.js';
import { basicChallenge, ntlmToken, readResponseToken } from '../../src/mmsp/messages/token.js';
import { type Answers, FILE, media, receive, ScriptedServer, type ServerFacts } from './client-support.js';

let server: ScriptedServer;
afterEach(() => server?.close());

const NOTHING = Buffer.alloc(0);
const CREDENTIALS = { user: 'alice', password: 'secret' };
const authorize = () => new ClientAuthenticator({ server: CREDENTIALS });

/** Challenges with each token in turn, whatever the answers, and then opens the file. */
async function serve(tokens: readonly Buffer[], more: Answers = {}, facts: ServerFacts = {}): Promise<ScriptedServer> {
  const left = [...tokens];
  let cookie = 100;
  const challenge = (incarnation: number) => messages.buildSecurityChallenge(incarnation, cookie++, left.shift()!);
  server = await ScriptedServer.listen(
    {
      openFile: (peer, message) => peer.send(challenge(message.incarnation)),
      securityResponse: (peer, { incarnation }) => {
        if (left.length > 0) peer.send(challenge(incarnation));
        else peer.answer({ type: 'openFile', incarnation, fileName: '', token: NOTHING });
      },
      startPlaying: (peer, message) => {
        peer.answer(message);
        peer.media(media(1));
        peer.end();
      },
      ...more,
    },
    facts,
  );
  return server;
}

const responses = () => server.last.of('securityResponse');

describe('an MMSP client that is challenged', () => {
  it('[MMSP-132] [MMSP-093] answers with the incarnation and the cookie of the challenge', async () => {
    await serve([basicChallenge('home'), basicChallenge('home')]);
    const { error } = await receive({
      url: server.url(),
      authorize: { schemes: [], answer: () => ['Authorization', 'Basic YTpi'] },
    });
    expect(error).toBeUndefined();
    expect(responses()).toMatchObject([
      { incarnation: 9, cookie: 100 },
      { incarnation: 9, cookie: 101 },
    ]);
  });

  it('[MMSP-131] [MMSP-094] sends the password by Basic to this host, as ASCII with a null', async () => {
    await serve([basicChallenge('home')]);
    expect((await receive({ url: server.url(), authorize: authorize() })).error).toBeUndefined();
    const token = responses()[0]!.token.toString('latin1');
    expect(token).toBe(`${Buffer.from('alice:secret').toString('base64')}\0`);
  });

  it('[MMSP-131] takes two zero bytes for NTLM, and a bare challenge of an old server for its AuthenPackage', async () => {
    for (const [token, version] of [
      [ntlmToken(NOTHING, false), '9.0.0.1'],
      [NOTHING, '4.1.0.3934'],
    ] as const) {
      await serve([token], {}, { ...FILE, version });
      await receive({ url: server.url(), authorize: authorize() });
      expect(readResponseToken(responses()[0]!.token)).toMatchObject({ scheme: 'ntlm' });
      await server.close();
    }
  });

  it.each([false, true])(
    '[MMSP-094] begins NTLM with two zero bytes; in an NTLM_AUTH structure: %s',
    async (wrapped) => {
      const handshake = Buffer.from('TlRMTVNTUAACAAAA', 'base64');
      // A challenge that cannot be answered; it shows the form of the server.
      await serve([ntlmToken(handshake, wrapped)]);
      const answered: string[] = [];
      const answer = ({ headers }: { headers: { get(name: string): string | undefined } }) => {
        answered.push(headers.get('WWW-Authenticate')!);
        return ['Authorization', `NTLM ${handshake.toString('base64')}`] as const;
      };
      await receive({ url: server.url(), authorize: { schemes: [], answer } });
      expect(answered).toEqual([`NTLM ${handshake.toString('base64')}`]);
      expect(responses()[0]!.token.subarray(0, 2)).toEqual(Buffer.alloc(2));
      expect(readResponseToken(responses()[0]!.token)).toEqual({ scheme: 'ntlm', token: handshake, wrapped });
    },
  );

  it('says what is wrong without a password, or with one that is refused', async () => {
    await serve([basicChallenge('home')]);
    expect((await receive({ url: server.url() })).error).toMatchObject({
      code: 'WM_AUTH_REFUSED',
      message: expect.stringContaining('requires a login'),
    });
    await server.close();
    await serve(Array(9).fill(basicChallenge('home')));
    expect((await receive({ url: server.url(), authorize: authorize() })).error).toMatchObject({
      code: 'WM_AUTH_REFUSED',
      message: expect.stringContaining('does not accept the user or the password'),
    });
    expect(responses().length).toBeLessThan(6);
  });

  it('gives no password to the server of a redirect', async () => {
    const other = await ScriptedServer.listen({
      openFile: (peer, { incarnation }) =>
        peer.send(messages.buildSecurityChallenge(incarnation, 1, basicChallenge('x'))),
    });
    await serve([], { openFile: (peer) => peer.send(messages.buildRedirect(other.url('mms'), false)) });
    const { error } = await receive({ url: server.url(), authorize: authorize() });
    expect(error).toMatchObject({ code: 'WM_AUTH_REFUSED' });
    expect(other.last.of('securityResponse')).toEqual([]);
    await other.close();
  });
});
