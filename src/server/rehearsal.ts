import { once, setMaxListeners } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AsfFileBuilder } from '../asf/file.js';
import type { AsfEvent } from '../media/events.js';
import { SyntheticSource } from '../testing/synthetic.js';
import { defaultConfig } from './config.js';
import { MediaServer } from './server.js';

/** Seconds of the stream that is played. */
const DURATION = 4;
/** Players of each kind, one after the other. */
const PLAYERS = 8;
/** What a player must have, in bytes: the answer, the header and some packets. */
const ENOUGH = 16 * 1024;
/** The longest that a start is held up, in ms. */
const PATIENCE = 2_000;

const LIVE = '/rehearsal';
const FILE = '/rehearsal.wmv';

/**
 * Plays a small stream and a small file to a few players on a server of its own, which only this process reaches. The
 * first player of a process would wait for code to be loaded and compiled, ten times as long as the others; now that is
 * done before the server says that it is ready.
 *
 * It is only a help: if there is no folder for a temporary file, or the machine is too busy, nothing is said about it.
 *
 * @param options.patience the longest that it takes, in ms; @param options.within the folder for the temporary file
 * @returns how many players had something to play
 */
export async function rehearse(
  options: { readonly patience?: number; readonly within?: string } = {},
): Promise<number> {
  const over = AbortSignal.timeout(options.patience ?? PATIENCE);
  setMaxListeners(2 * PLAYERS + 8, over);
  let served = 0;
  let folder: string | undefined;
  let server: MediaServer | undefined;
  try {
    folder = await mkdtemp(join(options.within ?? tmpdir(), 'wmcast-start-'));
    const events = await streamOf();
    await writeFile(join(folder, FILE), fileOf(events));
    const { admin, ...config } = defaultConfig();
    server = await MediaServer.start({
      ...config,
      ...{
        host: '127.0.0.1',
        httpPort: 0,
        msbd: { port: 'none' },
        admin: { ...admin, port: 'none' },
        content: { folder },
      },
    });
    const { broadcast } = server.points.configure(LIVE);
    for (const event of events) if (event.type !== 'end') broadcast.write(event);
    const { http } = server.ports;
    for (let player = 0; player < PLAYERS && http !== undefined; player++) {
      for (const path of [LIVE, FILE]) if (await play(http, path, over)) served++;
    }
  } catch {
    // The server starts all the same.
  } finally {
    await server?.close().catch(() => {});
    if (folder !== undefined) await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
  return served;
}

async function streamOf(): Promise<AsfEvent[]> {
  const events: AsfEvent[] = [];
  for await (const event of new SyntheticSource({ duration: DURATION, live: true })) events.push(event);
  return events;
}

function fileOf(events: readonly AsfEvent[]): Buffer {
  const [first] = events;
  if (first?.type !== 'header') return Buffer.alloc(0);
  const builder = new AsfFileBuilder(first.header);
  const packets = events.flatMap((event) => (event.type === 'packet' ? [builder.packet(event.packet)] : []));
  const { header, trailer } = builder.finish();
  return Buffer.concat([header, ...packets, trailer]);
}

/** Asks for content as a player does, and leaves once some of it is there. @returns false if it was refused */
async function play(port: number, path: string, over: AbortSignal): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1', signal: over });
  socket.on('error', () => {});
  socket.write(
    `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: NSPlayer/9.0\r\nPragma: xPlayStrm=1\r\n` +
      'Pragma: stream-time=0\r\nPragma: stream-switch-count=2\r\nPragma: stream-switch-entry=ffff:1:0 ffff:2:0\r\n\r\n',
  );
  let size = 0;
  socket.on('data', (chunk) => {
    size += chunk.length;
    if (size >= ENOUGH) socket.destroy();
  });
  await once(socket, 'close', { signal: over });
  return size >= ENOUGH;
}
