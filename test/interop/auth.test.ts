import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { execa, execaSync } from 'execa';
import { ClientAuthenticator } from '../../src/auth/client.js';
import type { Scheme } from '../../src/auth/dialog.js';
import { FileStore } from '../../src/auth/file-store.js';
import { callerOf } from '../../src/auth/header-dialog.js';
import { makeSecrets, SECRET_KINDS } from '../../src/auth/secrets.js';
import { ServerAuthenticator } from '../../src/auth/server.js';
import { changeUserFile } from '../../src/auth/user-file.js';
import { HttpClient } from '../../src/http/client.js';
import { keepsAlive } from '../../src/http/message.js';
import { HttpServer } from '../../src/http/server.js';
import { headersOf } from '../auth/support.js';
import { Apache } from './support/apache.js';
import { Child, stopAll } from './support/child.js';
import { Server } from './support/commands.js';
import { itNeeds, program, type Requirement } from './support/programs.js';

const ALICE = { name: 'alice', password: 'open, sesame' };
// Curl's NTLM treats the bytes of a password as characters, so the password is ASCII.
const CHLOE = { name: 'chloé', password: 'Sésame, ouvre-toi' };
// Debian's own Apache, which has Debian's modules.
const PYTHON = '/usr/bin/python3';

function pythonModule(name: string): Requirement {
  const run = () => execaSync(PYTHON, ['-c', `import ${name}`], { reject: false });
  return { name: `Python's ${name}`, present: () => run().exitCode === 0 };
}

/** MIT Kerberos with its plugin for NTLM, which curl uses for Negotiate. */
const gssNtlm: Requirement = {
  name: 'gss-ntlmssp',
  present: () => existsSync('/etc/gss/mech.d/mech.ntlmssp.conf'),
};

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'auth-'));
});
afterAll(async () => {
  await stopAll();
  await rm(folder, { recursive: true });
});

describe('our server lets in', () => {
  let server: HttpServer | undefined;
  afterEach(() => server?.close());

  /** Starts a server that answers with the name of the user; returns its URL. */
  async function serve(schemes: readonly Scheme[], ntlmVersion1 = false): Promise<string> {
    const path = join(folder, 'users.yaml');
    for (const { name, password } of [ALICE, CHLOE]) {
      const entry = { name, groups: [], ...(await makeSecrets(name, password, 'wmcast', SECRET_KINDS)) };
      await changeUserFile(path, async () => ({ name, entry }));
    }
    const store = await FileStore.open(path);
    const authenticator = new ServerAuthenticator({ store, realm: 'wmcast', schemes, ntlmVersion1 });
    server = new HttpServer({
      onRequest: (exchange) => {
        void authenticator.check(callerOf(exchange)).then((outcome) => {
          const fields = headersOf(outcome).entries;
          if (outcome.kind === 'accepted') {
            exchange.respond({ status: 200, fields, body: Buffer.from(outcome.user.name) });
          } else if (outcome.kind === 'challenge') exchange.respond({ status: 401, fields });
          else exchange.respond({ status: 403 });
        });
      },
    });
    const port = await server.listen(0, '127.0.0.1');
    return `http://127.0.0.1:${port}/live?x=1`;
  }

  async function curl(url: string, { name, password }: typeof ALICE, ...args: string[]): Promise<string> {
    const { stdout } = await execa(
      'curl',
      ['--silent', '--max-time', '10', '--write-out', ' %{http_code}', '--config', '-', ...args, url],
      { input: `user = "${name}:${password}"\n` },
    );
    return stdout;
  }

  itNeeds([program('curl')], 'curl by Basic, Digest, NTLM, and the strongest of them', async () => {
    const url = await serve(['ntlm', 'digest', 'basic']);
    for (const scheme of ['--basic', '--digest', '--ntlm', '--anyauth']) {
      expect([scheme, await curl(url, ALICE, scheme)]).toEqual([scheme, 'alice 200']);
      expect([scheme, await curl(url, { ...ALICE, password: 'wrong' }, scheme)]).toEqual([scheme, ' 401']);
    }
  });

  itNeeds([program('curl')], 'curl with a body after NTLM, and several requests on one connection', async () => {
    const url = await serve(['ntlm']);
    expect(await curl(url, ALICE, '--ntlm', '--data', 'x'.repeat(100_000))).toBe('alice 200');
    expect(await curl(url, ALICE, '--ntlm', '--next', '--silent', '--write-out', ' %{http_code}', url)).toBe(
      'alice 200alice 200',
    );
  });

  itNeeds([program('curl')], 'curl with a name and a password that are not of ASCII', async () => {
    const url = await serve(['digest', 'basic']);
    expect(await curl(url, CHLOE, '--basic')).toBe('chloé 200');
    expect(await curl(url, CHLOE, '--digest')).toBe('chloé 200');
  });

  itNeeds([program('curl'), gssNtlm], 'curl by Negotiate, with the NTLM of another library in SPNEGO', async () => {
    const url = await serve(['negotiate']);
    const negotiate = async (name: string, password: string) => {
      const file = join(folder, 'ntlm');
      await writeFile(file, `STUDIO:${name}:${password}\n`);
      const args = ['--silent', '--max-time', '10', '--negotiate', '--user', ':', '--write-out', ' %{http_code}', url];
      const { stdout } = await execa('curl', args, { env: { NTLM_USER_FILE: file } });
      return stdout;
    };
    expect(await negotiate(ALICE.name, ALICE.password)).toBe('alice 200');
    expect(await negotiate(CHLOE.name, CHLOE.password)).toBe('chloé 200');
    expect(await negotiate(ALICE.name, 'wrong')).toBe(' 401');
  });

  itNeeds([pythonModule('requests_ntlm')], 'requests-ntlm by NTLM', async () => {
    const url = await serve(['ntlm']);
    const code = [
      'import sys, requests, requests_ntlm',
      'auth = requests_ntlm.HttpNtlmAuth(sys.argv[2], sys.stdin.read())',
      'session = requests.Session(); session.auth = auth; session.trust_env = False',
      'print([session.get(sys.argv[1]).text for _ in range(2)], session.get(sys.argv[1]).status_code)',
    ].join('\n');
    // Its MD4 comes from OpenSSL, which hides it among the legacy algorithms.
    const legacy = join(folder, 'openssl.cnf');
    const sections = [
      'openssl_conf = a',
      '[a]',
      'providers = b',
      '[b]',
      'default = c',
      'legacy = c',
      '[c]',
      'activate = 1',
    ];
    await writeFile(legacy, `${sections.join('\n')}\n`);
    const run = async (user: string, password: string) =>
      (await execa(PYTHON, ['-c', code, url, user], { input: password, env: { OPENSSL_CONF: legacy } })).stdout;
    expect(await run('STUDIO\\alice', ALICE.password)).toBe("['alice', 'alice'] 200");
    expect(await run('STUDIO\\alice', 'wrong')).toBe("['', ''] 401");
  });
});

describe('our client is let in', () => {
  const needed = [program('apache2'), gssNtlm];
  let apache: Apache | undefined;
  afterAll(() => apache?.stop());

  /**
   * Sends requests as our commands do: on the same connection while it stays open, until an answer is not a challenge.
   */
  async function get(target: string, schemes: readonly Scheme[], password = ALICE.password, requests = 1) {
    apache ??= await Apache.start(ALICE);
    const client = new ClientAuthenticator({ server: { user: ALICE.name, password }, schemes });
    const endpoint = { host: '127.0.0.1', port: apache.port };
    let http = await HttpClient.connect(endpoint);
    const statuses: number[] = [];
    const used: string[] = [];
    for (let left = requests; left > 0; ) {
      const line = { method: 'GET', target, connection: http };
      const fields = client.fields(line, [401]);
      used.push(fields[0]?.[1].split(' ')[0] ?? '-');
      http.send('GET', target, [['Host', 'localhost'], ...fields]);
      const { head } = await http.response(5_000);
      statuses.push(head.status);
      if (head.status !== 401) left--;
      else if (!client.answer({ ...line, status: 401, headers: head.headers, secure: true })) break;
      if (keepsAlive(head) && http.open) continue;
      http.destroy();
      http = await HttpClient.connect(endpoint);
    }
    http.destroy();
    return { statuses, used };
  }

  itNeeds(needed, 'by Apache with Basic', async () => {
    expect(await get('/basic', ['basic'])).toEqual({ statuses: [401, 200], used: ['-', 'Basic'] });
    expect(await get('/basic', ['basic'], 'wrong')).toEqual({ statuses: [401, 401], used: ['-', 'Basic'] });
  });

  itNeeds(needed, 'by Apache with Digest, also for the next requests', async () => {
    const good = await get('/digest', ['digest'], ALICE.password, 3);
    expect(good).toEqual({ statuses: [401, 200, 200, 200], used: ['-', 'Digest', 'Digest', 'Digest'] });
    expect(await get('/digest', ['digest'], 'wrong')).toEqual({ statuses: [401, 401], used: ['-', 'Digest'] });
  });

  itNeeds(needed, 'by Apache with NTLM, where gss-ntlmssp judges the messages and their MIC', async () => {
    const good = await get('/gss', ['ntlm'], ALICE.password, 2);
    expect(good).toEqual({ statuses: [401, 401, 200, 200], used: ['-', 'NTLM', 'NTLM', '-'] });
    expect(await get('/gss', ['ntlm'], 'wrong')).toEqual({ statuses: [401, 401, 401], used: ['-', 'NTLM', 'NTLM'] });
  });

  itNeeds(needed, 'by Apache with Negotiate, where gss-ntlmssp judges NTLM in SPNEGO', async () => {
    const good = await get('/gss', ['negotiate'], ALICE.password, 2);
    expect(good).toEqual({ statuses: [401, 401, 200, 200], used: ['-', 'Negotiate', 'Negotiate', '-'] });
    const wrong = await get('/gss', ['negotiate'], 'wrong');
    expect(wrong).toEqual({ statuses: [401, 401, 401], used: ['-', 'Negotiate', 'Negotiate'] });
  });
});

describe('the commands', () => {
  const environment = { WMCAST_USER: ALICE.name, WMCAST_PASSWORD: ALICE.password };
  const command = (name: string, ...args: string[]) =>
    new Child(process.execPath, [fileURLToPath(new URL(`../../bin/${name}.js`, import.meta.url)), ...args], {
      environment,
    });

  itNeeds(
    [program('curl'), program('ps')],
    'let an added user push and play, by each scheme, and never show the password',
    async () => {
      const users = join(folder, 'added.yaml');
      const added = command('wmcast', 'users', 'add', ALICE.name, '--file', users, '--json');
      expect((await added.ends()).code).toBe(0);
      const shown: string[] = [...added.output, ...added.log];
      for (const scheme of ['negotiate', 'ntlm', 'digest', 'basic']) {
        const config = join(folder, 'serve.yaml');
        const access = "{push: {users: ['*']}, play: {users: ['*']}}";
        await writeFile(config, `users: ${users}\nauthentication: [${scheme}]\naccess: ${access}\n`);
        const server = await Server.start('--config', config, '-v');
        const live = server.next('point', ({ what }) => what === 'publishing');
        const push = command('wmpush', server.url('/live'), '--json', '-v', '--size', '160x120');
        await live;
        const pull = command(
          'wmcast',
          'pull',
          server.url('/live'),
          '-o',
          join(folder, `${scheme}.asf`),
          '-t',
          '1',
          '--json',
          '-v',
        );
        expect([scheme, (await pull.ends()).code, pull.describe('failed')]).toEqual([scheme, 0, expect.anything()]);
        const stranger = await execa('curl', [
          '--silent',
          '--output',
          '/dev/null',
          '--write-out',
          '%{http_code}',
          server.url('/live'),
        ]);
        expect(stranger.stdout).toBe('401');
        const { stdout: processes } = await execa('ps', ['-eo', 'args']);
        await push.stop();
        await server.stop();
        for (const { output, log } of [push, pull, server]) shown.push(...output, ...log);
        shown.push(processes);
      }
      expect(shown.join('\n')).not.toContain(ALICE.password);
    },
  );
});
