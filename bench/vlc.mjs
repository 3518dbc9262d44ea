// VLC as another server to compare with.
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { freePort, listens } from './real.mjs';

/** VLC refuses to run as root. */
const NOBODY = 65534;

/** VLC's mmsh server, which reads and multiplexes a file over and over. */
export async function startVlc(file) {
  const port = await freePort();
  const server = spawn(
    'vlc',
    [
      ...['-I', 'dummy', '--loop', '--no-sout-all', '--sout-keep', file],
      ...['--sout', `#std{access=mmsh,mux=asfh,dst=127.0.0.1:${port}/live}`],
    ],
    {
      stdio: 'ignore',
      cwd: tmpdir(),
      env: { ...process.env, HOME: tmpdir() },
      ...(process.getuid() === 0 && { uid: NOBODY, gid: NOBODY }),
    },
  );
  await listens(port);
  return { server, port, others: [] };
}
