import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { Child } from './child.js';
import { onFreePort } from './vlc-server.js';

const MODULES = '/usr/lib/apache2/modules';

export interface ApacheUser {
  readonly name: string;
  readonly password: string;
}

/**
 * Debian's Apache as a separate process, with `/basic`, `/digest` and `/gss`. The latter accepts NTLM under Negotiate
 * and plain NTLM, by mod_auth_gssapi and gss-ntlmssp. Each has one user.
 */
export class Apache {
  readonly port: number;
  readonly #folder: string;
  readonly #child: Child;

  private constructor(port: number, folder: string, child: Child) {
    this.port = port;
    this.#folder = folder;
    this.#child = child;
  }

  static async start({ name, password }: ApacheUser): Promise<Apache> {
    const folder = await mkdtemp(join(tmpdir(), 'apache-'));
    const file = (base: string) => join(folder, base);
    await writeFile(file('basic'), `${name}:{SHA}${createHash('sha1').update(password).digest('base64')}\n`);
    const ha1 = createHash('md5').update(`${name}:Apache 2:${password}`).digest('hex');
    await writeFile(file('digest'), `${name}:Apache 2:${ha1}\n`);
    await writeFile(file('ntlm'), `STUDIO:${name}:${password}\n`);
    await writeFile(file('page.txt'), 'let in\n');
    return onFreePort(async (port) => {
      await writeFile(file('httpd.conf'), configuration(folder, port));
      await execa('chmod', ['-R', 'a+rX', folder]);
      const child = new Child('apache2', ['-f', file('httpd.conf'), '-DFOREGROUND'], {
        environment: { NTLM_USER_FILE: file('ntlm') },
      });
      await child.until('its log', () => child.output.find((line) => line.includes('resuming normal operations')));
      return new Apache(port, folder, child);
    });
  }

  async stop(): Promise<void> {
    await this.#child.stop('SIGTERM');
    await rm(this.#folder, { recursive: true });
  }
}

function configuration(folder: string, port: number): string {
  const modules = [
    'mpm_event',
    'authn_core',
    'authn_file',
    'authz_core',
    'authz_user',
    'auth_basic',
    'auth_digest',
    'auth_gssapi',
    'alias',
  ];
  const areas = [
    ['basic', `AuthType Basic\nAuthBasicProvider file\nAuthName "Apache"\nAuthUserFile ${folder}/basic`],
    ['digest', `AuthType Digest\nAuthDigestProvider file\nAuthName "Apache 2"\nAuthUserFile ${folder}/digest`],
    ['gss', 'AuthType GSSAPI\nAuthName "gss"\nGssapiAllowedMech ntlmssp\nGssapiConnectionBound On'],
  ];
  return [
    `ServerRoot ${folder}`,
    `ServerName localhost`,
    `PidFile ${folder}/pid`,
    `Listen 127.0.0.1:${port}`,
    ...modules.map((name) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`),
    // Standard error may be a file that it cannot open.
    'ErrorLog "|/bin/cat"',
    'LogLevel notice auth_gssapi:info',
    'User www-data',
    'Group www-data',
    'KeepAliveTimeout 10',
    ...areas.flatMap(([area, lines]) => [
      `Alias /${area} ${folder}/page.txt`,
      `<Location /${area}>\n${lines}\nRequire valid-user\n</Location>`,
    ]),
  ].join('\n');
}
