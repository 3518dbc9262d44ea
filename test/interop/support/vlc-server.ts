import { chmodSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname } from 'node:path';
import { Child } from './child.js';
import { newFolder } from './content.js';

/** Returns a port that is currently unused. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      server.close(() => resolve(port));
    });
  });
}

const ATTEMPTS = 5;

/**
 * Starts a program that cannot choose a free port by itself. Another program may take the same one in between, so it is
 * retried.
 *
 * @param start resolves when the program listens on the port, and rejects if it ends instead
 */
export async function onFreePort<T>(start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

/** VLC as a server of an ASF file over MMS-HTTP, in real time. */
export class VlcServer extends Child {
  readonly url: string;

  private constructor(file: string, port: number) {
    const home = newFolder();
    for (const folder of [home, dirname(file)]) chmodSync(folder, 0o777);
    chmodSync(file, 0o644);
    // VLC refuses to run as root.
    const asNobody = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups'];
    const output = `#std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}/x}`;
    const command = ['vlc', '-I', 'dummy', '-vv', '--no-color', file, '--sout', output, 'vlc://quit'];
    const [program, ...args] = [...(process.getuid?.() === 0 ? asNobody : []), ...command];
    super(program!, args, { environment: { HOME: home, XDG_RUNTIME_DIR: home } });
    this.url = `mmsh://127.0.0.1:${port}/x`;
  }

  static start(file: string): Promise<VlcServer> {
    return onFreePort(async (port) => {
      const server = new VlcServer(file, port);
      await server.until('that it serves', () => server.log.find((line) => line.includes('using `mmsh/asfh://')));
      return server;
    });
  }
}
