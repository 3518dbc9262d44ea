import type { Socket as UdpSocket } from 'node:dgram';
import { messageOf, WmError } from '../../errors.js';
import type { ServerEvents } from '../events.js';
import { youngSpaceLimit } from '../heap.js';
import { MediaServer } from '../server.js';
import { packageVersion } from '../version.js';
import { type FromWorker, MESSAGES_VERSION, type StartMessage, type ToWorker } from './messages.js';
import { WorkerPart } from './worker.js';

// The program of a worker. The main process says what to do, and when to end; a signal for all processes of the
// terminal reaches the main process too.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'] as const) process.on(signal, () => {});
process.on('disconnect', () => process.exit(1));
process.once('message', (message: ToWorker, handle) => {
  if (message.kind === 'start') void start(message, handle as UdpSocket | undefined);
});
say({ kind: 'loaded', version: packageVersion });

function say(message: FromWorker): void {
  process.send?.(message);
}

async function start(message: StartMessage, udp: UdpSocket | undefined): Promise<void> {
  try {
    if (message.version !== MESSAGES_VERSION) {
      throw new WmError(
        'WM_FAILED',
        'The version on the disk does not fit the main process, which is older: restart the server.',
      );
    }
    const part = await WorkerPart.open(message, say, udp);
    const server = await MediaServer.startPart(message.config, eventsOf(message, part), part);
    process.on('message', ({ kind }: ToWorker) => {
      if (kind === 'close') void close(server, part);
    });
    say({ kind: 'started' });
  } catch (error) {
    const code = error instanceof WmError ? error.code : 'WM_FAILED';
    const failed: FromWorker = { kind: 'failed', code, message: messageOf(error) };
    process.send?.(failed, undefined, undefined, () => process.exit(1));
  }
}

async function close(server: MediaServer, part: WorkerPart): Promise<void> {
  part.close();
  await server.close();
  process.exit(0);
}

function eventsOf({ events }: StartMessage, part: WorkerPart): ServerEvents {
  const limitYoungSpace = youngSpaceLimit();
  return {
    play: (info) => {
      limitYoungSpace();
      say({ kind: 'begun', info });
    },
    played: (report) => say({ kind: 'ended', report }),
    log: (log) => say({ kind: 'submitted', log }),
    warning: (warning) => say({ kind: 'warning', message: warning }),
    error: (error) => part.failed(error),
    ...(events ? { event: (path: string, body: string) => say({ kind: 'event', path, body }) } : {}),
  };
}
