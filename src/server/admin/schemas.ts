import { z } from '@hono/zod-openapi';

/** The answers of the administration, for its OpenAPI description. */
const count = z.number().int().min(0);
const time = z.iso.datetime().openapi({ description: 'When it began.' });

/** The answer to a request that failed. */
export const failure = z
  .object({ error: z.string().openapi({ description: 'What is wrong, in one sentence.' }) })
  .openapi('Failure');

/** Figures of the server. */
export const status = z
  .object({
    uptime: count.openapi({ description: 'Seconds since the start.' }),
    version: z.string(),
    host: z.string().openapi({ description: 'The name or address of the server in the URLs of players.' }),
    ports: z.record(z.string(), z.number()).openapi({ description: 'Ports by protocol.', example: { http: 8080 } }),
    playersPeak: count.openapi({ description: 'The most players at a time since the start.' }),
    connections: count,
    players: count,
    publishers: count,
    points: count,
    bytesIn: count,
    bytesOut: count,
    packetsIn: count,
    sends: count.openapi({ description: 'Writes of packets to players.' }),
    lateSends: count.openapi({ description: 'Writes with a packet that was due more than 500 ms before.' }),
    skippedPackets: count.openapi({ description: 'Packets skipped for players that were too slow.' }),
    droppedPlayers: count.openapi({ description: 'Players that lagged for too long.' }),
    proxy: z.record(z.string(), z.number()).optional().openapi({ description: 'Counters of a proxy.' }),
  })
  .openapi('Status');

const publisher = z.object({
  remoteAddress: z.string(),
  user: z.string().nullable(),
  lost: z.boolean().openapi({ description: 'True if its connection broke and it may come back.' }),
  since: time,
});

const stream = z.object({
  number: count,
  type: z.string(),
  codec: z.string(),
  bitrate: count.openapi({ description: 'Bits per second; 0 if unknown.' }),
  encrypted: z.boolean(),
  hidden: z.boolean(),
  language: z.string().optional(),
  width: count.optional(),
  height: count.optional(),
  framesPerSecond: z.number().optional(),
  channels: count.optional(),
  samplesPerSecond: count.optional(),
});

/** A publishing point. */
export const point = z
  .object({
    path: z.string().openapi({ example: '/live' }),
    configured: z.boolean(),
    live: z.boolean(),
    stopped: z.boolean(),
    acceptsPlayers: z.boolean(),
    players: count,
    publisher: publisher.nullable(),
    title: z.string().nullable(),
    bitRate: count.openapi({ description: 'Bits per second, as the header says; 0 if it is offline.' }),
    streams: z.array(stream),
    still: z.boolean().openapi({ description: 'True if there can be a picture of what is on air.' }),
    archived: z.boolean().openapi({ description: 'True if pushes are recorded.' }),
    packetsIn: count,
    bytesIn: count,
    bytesOut: count,
    sends: count,
    lateSends: count,
    skippedPackets: count,
    droppedPlayers: count,
    splices: count.openapi({ description: 'How often a source came back and continued.' }),
    node: z
      .string()
      .nullable()
      .optional()
      .openapi({ description: 'In a cluster, the host that its source is connected to.' }),
  })
  .openapi('Point');
const fields = z.record(z.string(), z.unknown());
/** A point to add. */
export const newPoint = z
  .looseObject({ path: z.string() })
  .openapi('NewPoint', { description: 'The fields of a point in the configuration.', example: { path: '/radio' } });
/** Fields to change. */
export const changedPoint = fields.openapi({ example: { title: 'The news', archive: null } });
/** The fields of a point. */
export const pointSettings = z.object({
  saved: z.boolean().openapi({ description: 'True if the configuration file has the point as it is.' }),
  point: fields,
});
/** All publishing points. */
export const points = z.object({ points: z.array(point) });
/** The encoders, each with its point. */
export const publishers = z.object({ publishers: z.array(publisher.extend({ point: z.string() })) });
/** The points that are multicast. */
export const multicasts = z.object({ multicasts: z.array(z.record(z.string(), z.unknown())) });

const session = z
  .object({
    id: z.string(),
    role: z.enum(['player', 'publisher']),
    protocol: z.string(),
    transport: z.string(),
    path: z.string(),
    entry: z.number().nullable(),
    client: z.string(),
    remoteAddress: z.string(),
    user: z.string().nullable(),
    since: time,
    bytes: count,
    packets: count,
    lost: count,
  })
  .openapi('Session');
/** A part of the list of sessions. */
export const sessions = z.object({ total: count, sessions: z.array(session) });
/** A part of the list of players. */
export const players = z.object({ total: count, players: z.array(session) });

/** Recordings, the newest first. */
export const archives = z.object({
  total: count,
  archives: z.array(
    z
      .object({
        point: z.string(),
        name: z.string(),
        bytes: count,
        modified: z.iso.datetime(),
        recording: z.boolean().openapi({ description: 'True while it is being recorded.' }),
        removed: z.boolean().openapi({ description: 'True if its point is no longer there.' }),
        href: z.string().openapi({ description: 'Where the file is, relative to the root of the API.' }),
      })
      .openapi('Archive'),
  ),
});

/** Files of session logs, the newest first. */
export const sessionLogs = z.object({
  total: count,
  files: z.array(
    z
      .object({ name: z.string(), bytes: count, modified: z.iso.datetime(), href: z.string() })
      .openapi('SessionLogFile'),
  ),
});
/** The last lines of the session logs. */
export const sessionLogTail = z
  .object({
    file: z.string().nullable().openapi({ description: 'The file that the lines are of; null before the first one.' }),
    cursor: z.string().openapi({ description: 'Given back as `after`, it gets the lines that follow.' }),
    fields: z.array(z.string()).openapi({ description: 'The names of the fields of a line.' }),
    lines: z.array(z.string()),
  })
  .openapi('SessionLogTail');

/** What has happened, the newest first. */
export const log = z.object({
  lines: z.array(
    z
      .object({
        at: z.iso.datetime(),
        name: z.enum(['point', 'play', 'played', 'warning', 'reload']),
        data: z.record(z.string(), z.unknown()),
      })
      .openapi('LogLine'),
  ),
});

/** What to play next. */
export const injection = z.object({
  source: z
    .string()
    .trim()
    .min(1)
    .openapi({ description: 'A file, a folder, a playlist or a URL.', example: 'news.wmv' }),
});

const names = z.array(z.string());
const reloaded = { changed: names, added: names, removed: names, restart: names };
/** What a reload has changed. */
export const reload = z
  .object({
    ...reloaded,
    nodes: z
      .record(z.string(), z.union([z.object(reloaded), z.object({ error: z.string() })]))
      .optional()
      .openapi({ description: 'What it has changed on the other hosts of the cluster, by name.' }),
  })
  .openapi('Reload');

/** The processes of a server. */
export const processes = z.object({
  processes: z.array(
    z
      .object({
        number: count.openapi({ description: 'The second number in the ids of its sessions; 0 is the main process.' }),
        pid: count,
        version: z.string().openapi({ description: 'The version of wmcast that it runs.' }),
        state: z.enum(['starting', 'serving', 'draining']).openapi({
          description: 'draining: it was replaced, and ends once its players have gone.',
        }),
        since: count.openapi({ description: 'When it was started, in ms since 1970.' }),
        players: count,
        connections: count,
      })
      .openapi('Process'),
  ),
});

/** The hosts of a cluster. */
export const nodes = z.object({
  nodes: z.array(
    z
      .object({
        name: z.string(),
        number: count.openapi({ description: 'The first number in the ids of its sessions.' }),
        self: z.boolean().openapi({ description: 'True for the host that was asked.' }),
        alive: z.boolean(),
        draining: z.boolean().openapi({ description: 'True if it takes no new sessions.' }),
        players: count.nullable(),
        points: count.openapi({ description: 'The points that it owns.' }),
      })
      .openapi('Node'),
  ),
});

/** A script command, for players that show or follow it. */
export const command = z.object({
  type: z
    .string()
    .regex(/^[A-Z][A-Z0-9_]{0,30}$/)
    .openapi({ description: 'Such as TEXT or URL.', example: 'TEXT' }),
  text: z.string().default(''),
});
