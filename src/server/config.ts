import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { isMulticastAddress } from '../announce/nsc.js';
import { MAX_TEXT_LENGTH } from '../asf/edit.js';
import type { AccessRule } from '../auth/access.js';
import { findProfile } from '../capture/profiles.js';
import { messageOf, WmError } from '../errors.js';
import { addressList } from '../http/address-list.js';
import { sourceSpec } from '../sources/spec.js';
import { parseFaults } from '../testing/fault-plan.js';
import { REALM, SCHEMES } from './access/credentials.js';
import { HOOK_EVENTS, isHookTarget } from './hooks/run.js';

/** What the documentation says about a field; the reference and the file that `wmcast init` writes are made from it. */
export interface FieldNotes {
  readonly description?: string | undefined;
  /** A value for the file of `wmcast init`, where the field has no default to show. */
  readonly sample?: unknown;
  /** For paths, which may be relative to the configuration file: a file or a folder to read, or a folder to write to. */
  readonly place?: 'file' | 'folder' | 'output' | undefined;
}

/** Documents a field; `sample` is an example of its value. */
function about<T extends z.ZodType>(schema: T, description: string, sample?: unknown): T {
  return schema.meta({ ...schema.meta(), description, ...(sample === undefined ? {} : { sample }) }) as T;
}

/** The path of a file or a folder of this host, absolute or relative to the configuration file. */
function place(kind: 'file' | 'folder' | 'output'): z.ZodString {
  return z.string().min(1).meta({ place: kind });
}

const port = z.number('must be a port from 0 to 65535').int().min(0).max(65_535);
const portOrNone = z.union([port, z.literal('none')], 'must be a port from 0 to 65535, or none');
const text = z.string().max(MAX_TEXT_LENGTH);
const kilobits = z.number().min(1);
const seconds = z.number().min(0).max(3_600);

const pathSchema = z.string().regex(/^\/[^\s?#]*$/, 'must be a path such as /live');
const placeSchema = z.string().superRefine((written, context) => {
  try {
    sourceSpec(written);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
/** What feeds a point; a text is a URL, `push`, or the path of a file, a folder or a playlist. */
const sourceSchema = z.union([
  placeSchema,
  z.strictObject({ url: placeSchema.refine((text) => 'url' in sourceSpec(text), 'must be a URL') }),
  z.strictObject({ programme: z.string().min(1) }),
  z.strictObject({ push: z.literal(true) }),
  z.strictObject({
    encode: z.string().trim().min(1),
    profile: z
      .string()
      .refine(
        (name) => findProfile(name) !== undefined || /[/\\.]/.test(name),
        'must be a profile of wmcast profiles, or a file',
      )
      .optional(),
  }),
]);
const addressesSchema = z.array(z.string()).superRefine((entries, context) => {
  try {
    addressList(entries);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const faultsSchema = z.string().superRefine((text, context) => {
  try {
    parseFaults(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const namesSchema = z.array(z.string().min(1));

/** Who may do something; docs/server.md explains how the four properties combine. */
const ruleSchema = z.strictObject({
  addresses: about(
    addressesSchema.optional(),
    'The addresses that may do it at all; default all. Addresses, networks such as 192.0.2.0/24, and loopback, which is this host.',
    ['192.0.2.0/24', 'loopback'],
  ),
  users: about(
    namesSchema.optional(),
    'The users who may; "*" is every known user. Without users and groups, nobody has to log in.',
    ['studio'],
  ),
  groups: about(namesSchema.optional(), 'The groups whose members may.', ['encoders']),
  trusted: about(addressesSchema.optional(), 'Addresses that need no login although users or groups are set.', [
    'loopback',
  ]),
});

/** The settings that a new publishing point copies from its template. */
const settingsShape = {
  access: about(
    z
      .strictObject({
        push: about(ruleSchema.optional(), 'Who may push to the point, instead of access.push.'),
        play: about(ruleSchema.optional(), 'Who may play the point, instead of access.play.'),
      })
      .optional(),
    'Rules that replace those of the server for this point.',
    { push: { users: ['studio'] }, play: { addresses: ['192.0.2.0/24', 'loopback'] } },
  ),
  archive: about(
    place('output').optional(),
    'The folder for recordings of what is pushed: one file for each encoder session.',
    '/srv/archive',
  ),
  archiveFiles: about(
    z
      .strictObject({
        name: about(
          z
            .string()
            .regex(
              /^(?!\/)(?!.*(?:^|\/)\.)(?!.*\/\/)[^\\\0]*\{time\}[^\\/\0]*$/,
              'must be a relative path with {time} in its name',
            )
            .max(200)
            .optional(),
          'The name of a file without .asf, with {point}, {date} and {time} (UTC); it may begin with folders.',
          '{point}/{date}/{time}',
        ),
        maxSize: about(
          z.number().min(1).optional(),
          'The size in MB after which a new file begins, at a key frame.',
          2_000,
        ),
        maxMinutes: about(z.number().min(1).optional(), 'The minutes of media after which a new file begins.', 60),
        keepDays: about(z.number().min(0.001).optional(), 'The days after which files of this point are deleted.', 30),
        minFree: about(
          z.number().min(1).optional(),
          'The free space of the disk in MB below which nothing is recorded; the log says so.',
          5_000,
        ),
      })
      .optional(),
    'How the archive is divided into files, and for how long they are kept.',
  ),
  burst: about(seconds.optional(), 'Seconds of media that a new player gets at once, instead of live.burst.', 5),
  maxPlayers: about(z.number().int().min(1).optional(), 'The maximum number of players of the point.', 500),
  maxBandwidth: about(kilobits.optional(), 'The sum of the bit rates of all players of the point, in kbit/s.', 50_000),
  maxPlayerBandwidth: about(
    kilobits.optional(),
    'The bit rate that a player of the point may have, in kbit/s; a stream with a higher one is refused.',
    2_000,
  ),
  acceptPlayers: about(
    z.boolean().optional(),
    'False to refuse new players; those that play stay. The administration can change it while the server runs.',
    true,
  ),
  enabled: about(
    z.boolean().optional(),
    'False for a point that is stopped: pushes and players are refused, and nothing is pulled, until the administrator starts it.',
    true,
  ),
  wrapper: about(
    z
      .string()
      .regex(/\.wsx$/i, 'must be a .wsx playlist')
      .optional(),
    'A .wsx playlist in the content folder that is played around the point, instead of content.wrapper.',
    'advertisements.wsx',
  ),
  autoDestroy: about(
    z.boolean().optional(),
    'True to remove points that are made from this one when their encoder leaves.',
    true,
  ),
  proxySplit: about(
    z.boolean().optional(),
    'True if a proxy may forward one stream to all its players, false if it has to open one for each of them; default: true.',
    false,
  ),
  scripts: about(
    z.boolean().optional(),
    'True to add a stream for script commands to what encoders send, so that the administration can send some to the players.',
    true,
  ),
  title: about(text.optional(), 'The title that players show, instead of that of the encoder.', 'The news'),
  author: about(text.optional(), 'The author, instead of that of the encoder.', 'A. Nother'),
  copyright: about(text.optional(), 'The copyright notice, instead of that of the encoder.', '2026'),
  description: about(text.optional(), 'The description, instead of that of the encoder.', 'Every hour'),
};
const settingsSchema = z.strictObject(settingsShape);
const multicastSchema = z.strictObject({
  group: about(
    z.string().refine(isMulticastAddress, 'must be the address of a multicast group, such as 239.192.1.1'),
    'The address of the group.',
    '239.192.1.1',
  ),
  port: about(z.number().int().min(1).max(65_535), 'The UDP port.', 5000),
  ttl: about(
    z.number().int().min(0).max(255).default(1),
    'How many routers the datagrams may pass; 1 is this network only.',
  ),
  interface: about(
    z.string().min(1).optional(),
    'The network interface, by name or address; default: as the system routes.',
    'eth0',
  ),
  fec: about(
    z.number().int().min(0).max(15).default(0),
    'A parity packet after this many packets, which restores one lost packet of them; 0 sends none.',
  ),
  logUrl: about(
    z
      .string()
      .regex(/^http:\/\/\S+$/, 'must be an http:// URL')
      .optional(),
    'Where receivers send their logs.',
    'http://logs.example/log.dll',
  ),
});
const pointSchema = z.strictObject({
  path: about(pathSchema, 'The path of the point.', '/live'),
  source: about(
    z.union([sourceSchema, z.array(sourceSchema).min(1).max(8)]).optional(),
    'Where the stream comes from; without a source the point waits for an encoder that pushes. A URL (http://, mms://, msbd://, rtsp://, ' +
      'an announcement such as .asx or .nsc; http://user:password@host/ to log in), or a file, a folder or a .wsx playlist, absolute or ' +
      'relative to content.folder. A list is in order of preference: the next source is used while the first has nothing.',
    'http://encoder.example:8080/',
  ),
  filler: about(
    place('file').optional(),
    'An ASF file that is repeated while no source delivers anything.',
    '/srv/slate.wmv',
  ),
  onDemand: about(
    z.boolean().optional(),
    'True to pull the source only while somebody plays the point, and for 30 s longer. Has no effect on a multicast point.',
    true,
  ),
  multicast: about(
    multicastSchema.optional(),
    'Also send the point to a multicast group; /live.nsc and /live.asx announce it.',
  ),
  ...settingsShape,
});

const hookSchema = z
  .strictObject({
    on: about(z.array(z.enum(HOOK_EVENTS)).min(1), 'The events.', ['play', 'stop']),
    run: about(
      z
        .union([z.string().min(1), z.array(z.string()).min(1)])
        .refine(isHookTarget, 'must be a URL, a program, or a list of it and its arguments'),
      'A URL that the event is posted to as JSON, a program that gets it on standard input, or a list of a program and its arguments.',
      'http://127.0.0.1:9000/wmcast',
    ),
    timeout: about(z.number().min(0.1).max(60).default(10), 'How long it may take, in seconds.'),
    decides: about(
      z.boolean().default(false),
      'True to ask it before somebody publishes or plays: exit code 0 or status 2xx allows, others refuse.',
    ),
  })
  .refine(
    ({ decides, on }) => !decides || on.includes('publish') || on.includes('play'),
    'can only decide about publish and play',
  );

/** The settings of a publishing point. */
export type PointConfig = z.output<typeof settingsSchema>;

const PUSH_DEFAULT = { trusted: ['loopback'], users: ['*'] };
const ADMIN_DEFAULT = { trusted: ['loopback'], groups: ['admin'] };

/** The configuration file of `wmcast serve`; docs/configuration.md describes each field. @public */
export const configSchema = z.strictObject({
  host: about(
    z.string().min(1).optional(),
    'The address to listen on; default: all addresses of the host.',
    '127.0.0.1',
  ),
  names: about(
    z.array(z.string().regex(/^[^\s/:@]+$/, 'must be the name of a host, such as media.example.com')).default([]),
    "More names of this host. Clients that need no login because of their address have to call the server by an address, localhost, the host's " +
      'own name or one of these, so that no web page can borrow that trust.',
    ['media.example.com'],
  ),
  httpPort: about(
    portOrNone.default(8080),
    'The port for WMSP (mmsh://, http://), pushes, announcements and the administration. 0 picks a free port, none opens none.',
  ),
  tls: about(
    z
      .strictObject({
        cert: about(
          place('file'),
          "The certificate in PEM form, the server's own first, then those that signed it.",
          '/etc/wmcast/cert.pem',
        ),
        key: about(place('file'), 'The private key in PEM form.', '/etc/wmcast/key.pem'),
        port: about(port.default(8443), 'The port; 0 picks a free one.'),
      })
      .optional(),
    'The same over TLS, on a port of its own. The files are read again when they change.',
  ),
  proxyProtocol: about(
    addressesSchema.optional(),
    'Addresses of proxies that announce their clients by the PROXY protocol, version 1 or 2 (HAProxy send-proxy, nginx proxy_protocol). They ' +
      'have to announce them on every connection, on all ports. Without it, all their clients seem to come from the proxy.',
    ['loopback'],
  ),
  users: about(
    place('file').optional(),
    'The file of users, which `wmcast users` keeps. It is read again when it changes.',
    '/etc/wmcast/users.yaml',
  ),
  realm: about(
    z
      .string()
      .regex(/^[\x20-\x7e]+$/, 'must be ASCII')
      .max(255)
      .default(REALM),
    'Shown to people who are asked for a password. Digest secrets in the file of users are valid for one realm only.',
  ),
  authentication: about(
    z
      .array(z.enum(['negotiate', 'ntlm', 'digest', 'basic']))
      .min(1, 'must name a scheme')
      .refine((schemes) => new Set(schemes).size === schemes.length, 'must name each scheme once')
      .default(SCHEMES),
    "How clients may log in, in order of preference. A client's X-Accept-Authentication takes precedence.",
  ),
  basicWithoutTls: about(
    z.boolean().default(false),
    'True to allow Basic without TLS from other hosts, where everyone on the network can read the password.',
  ),
  access: about(
    z
      .strictObject({
        push: about(ruleSchema.default(PUSH_DEFAULT), 'Who may push.'),
        play: about(ruleSchema.default({}), 'Who may play.'),
        admin: about(ruleSchema.default(ADMIN_DEFAULT), 'Who may use the administration.'),
      })
      .default({ push: PUSH_DEFAULT, play: {}, admin: ADMIN_DEFAULT }),
    'Who may do what, for points without a rule of their own.',
  ),
  push: about(
    z
      .strictObject({
        newPoints: about(
          z.enum(['any', 'loopback', 'template', 'none']).default('any'),
          'Which pushes may create points: any; loopback: any from this host, from elsewhere as template; template: those with a Template-URL ' +
            'that names an existing point; none.',
        ),
        authenticateStart: about(
          z.boolean().optional(),
          'True to ask encoders to log in with every PushStart request, not only with PushSetup. NTLM cannot do that.',
          false,
        ),
        idleTimeout: about(
          z.number().min(10).max(4_294_967).optional(),
          'Seconds without a packet after which an encoder is given up.',
          60,
        ),
      })
      .default({ newPoints: 'any' }),
    'Pushes from encoders.',
  ),
  msbd: about(
    z
      .strictObject({
        port: about(
          z.union([port, z.enum(['auto', 'none'])], 'must be a port from 0 to 65535, auto or none').optional(),
          'The port; auto is 7007 if that is free, 0 picks a free port, none opens none. Default: auto with the command line.',
          7007,
        ),
        netShow: about(
          pathSchema.optional(),
          'The point for clients that ask for the channel NetShow, as many do whatever they want. Default: the live point, if only one is live.',
          '/live',
        ),
        multicast: about(
          multicastSchema.pick({ group: true, port: true, ttl: true, interface: true, fec: true }).optional(),
          'Where clients that ask for multicast get their packets: the first point at this group, each further one at the next address.',
        ),
      })
      .default({}),
    'MSBD, for distribution servers (msbd://). MSBD has no logins, so points that need one are only given to trusted addresses.',
  ),
  mms: about(
    z
      .strictObject({
        port: about(portOrNone.default('none'), 'The port, usually 1755; 0 picks a free one, none opens none.'),
      })
      .default({ port: 'none' }),
    'MMS (mms://, mmst://, mmsu://) over TCP and UDP, for old players and set-top boxes. It has no TLS, so media and logins cross the network ' +
      'readably.',
  ),
  rtsp: about(
    z
      .strictObject({
        port: about(portOrNone.default('none'), 'The port, usually 554; 0 picks a free one, none opens none.'),
        rtpPort: about(
          port.max(65_534).optional(),
          'The first of the two UDP ports that media is sent from; default: 5004 and 5005 if they are free.',
          5004,
        ),
      })
      .default({ port: 'none' }),
    'RTSP with the extensions of Windows Media (rtsp://). Media goes over the same connection, or by UDP. It has no TLS.',
  ),
  faults: about(
    faultsSchema.optional(),
    'Faults to commit on purpose, to test the software on the other side; docs/testing.md lists them.',
    'lose=5%,seed=7',
  ),
  workers: about(
    z.union([z.number().int().min(1).max(64), z.literal('auto')], 'must be a number from 1 to 64, or auto').optional(),
    'Processes that serve players, besides the one that takes pushes; auto is one for each processor. Default: one process does everything.',
    2,
  ),
  admin: about(
    z
      .strictObject({
        port: about(
          z.union([port, z.enum(['auto', 'none'])], 'must be a port from 0 to 65535, auto or none').optional(),
          'The port; auto is 8081 if that is free, 0 picks a free port, none opens none. Default: auto with the command line.',
          8081,
        ),
        host: about(
          z.string().min(1).default('127.0.0.1'),
          'The address to listen on. access.admin says who may come.',
        ),
      })
      .default({ host: '127.0.0.1' }),
    'The administration on a port of its own, over HTTP: status page, API, metrics.',
  ),
  points: about(
    z.array(pointSchema).superRefine(refuseDuplicates).default([]),
    'Publishing points that always exist. A push that names one as its template copies everything but its path and its sources.',
  ),
  content: about(
    z
      .strictObject({
        folder: about(place('folder'), 'The folder.', '/srv/media'),
        wrapper: about(
          z.string().min(1).optional(),
          'A .wsx playlist in the folder that is played around everything that is requested.',
          'wrapper.wsx',
        ),
        maxAge: about(
          z.number().int().min(0).max(31_536_000).optional(),
          'Seconds for which a proxy may use its copy of a file without asking. Default: a day.',
          3600,
        ),
        revalidate: about(
          z.boolean().optional(),
          'True if a proxy has to ask before each use of its copy nevertheless. Default: true.',
          false,
        ),
      })
      .optional(),
    'On-demand files, playlists (.wsx) and folders of files, served below /.',
  ),
  logs: about(
    z
      .strictObject({
        folder: about(place('output'), 'The folder for the log files, one or more a day.', '/var/log/wmcast'),
        maxSize: about(z.number().min(1).max(100_000).default(100), 'The maximum size of a file, in MB.'),
        proxies: about(
          addressesSchema.default([]),
          'Addresses of proxies that are believed when they say for which client a log is.',
        ),
        submissions: about(
          z.boolean().default(true),
          'True to accept logs of clients of multicasts at /wmsiislog.dll.',
        ),
      })
      .optional(),
    'Log files of sessions, in the format of Windows Media Services; docs/logs.md describes them, and wmcast logs reads them.',
  ),
  hooks: about(
    z.array(hookSchema).default([]),
    'Programs and web servers that are told what happens, or decide who may publish and play; docs/hooks.md describes them.',
  ),
  guide: about(
    z.boolean().default(true),
    'True to show browsers a guide at the root: the points that everybody at their address may play.',
  ),
  privateSources: about(
    addressesSchema.default([]),
    'Private, link-local and loopback addresses that announcements and redirects of other hosts may lead this server to. URLs in this file are ' +
      'always allowed.',
    ['10.0.0.0/8'],
  ),
  proxy: about(
    z
      .strictObject({
        origin: about(
          z
            .string()
            .regex(/^https?:\/\/[^/?#]+\/?$/i, 'must be a server such as http://origin.example.com:8080')
            .optional(),
          'A server whose content this one serves, too, as its proxy; http://user:password@host to log in.',
          'http://media.example.com:8080',
        ),
        forward: about(
          z.boolean().default(false),
          'True to pass on requests of clients that use this server as their proxy.',
        ),
        transparent: about(z.boolean().default(false), 'True to pass on requests whose Host names another server.'),
        hosts: about(
          z.array(z.string().min(1)).optional(),
          'The only hosts that such requests may name; .example.org means all hosts of that domain. Default: all public ones.',
          ['media.example.com', '.example.org'],
        ),
        accounts: about(
          z
            .array(z.string().regex(/^https?:\/\/[^/?#@]+@[^/?#@]+\/?$/i, 'must be http://user:password@host'))
            .default([]),
          'Logins of the proxy itself at other servers.',
          ['http://user:password@media.example.com'],
        ),
        access: about(ruleSchema.optional(), 'Who may play through the proxy; default: access.play.', {
          addresses: ['192.0.2.0/24'],
        }),
        name: about(
          z
            .string()
            .regex(/^[\w.:-]{1,100}$/, 'must be a name such as proxy-1.example.com')
            .optional(),
          'Its name in Via; default: that of the host, and a random number.',
          'proxy-1.example.com',
        ),
        cache: about(
          z
            .strictObject({
              folder: about(place('output'), 'The folder; no two servers can share one.', '/var/cache/wmcast'),
              maxSize: about(z.number().min(1).default(10_000), 'The maximum size of all copies, in MB.'),
            })
            .optional(),
          'Copies of content that other servers allow to be kept.',
        ),
      })
      .optional(),
    'A proxy with a cache for the content of other servers; docs/proxy.md describes it.',
  ),
  redirects: about(
    z
      .array(
        z.strictObject({
          path: about(pathSchema, 'The old path.', '/old.wmv'),
          to: about(z.url(), 'The new URL.', 'http://other.example/old.wmv'),
          proxy: about(z.boolean().default(false), 'True if `to` is a proxy to ask for the old URL.'),
        }),
      )
      .default([]),
    'Content that has moved to another server.',
  ),
  limits: about(
    z
      .strictObject({
        players: about(z.number().int().min(1).optional(), 'Players of all points and files together.', 5000),
        bandwidth: about(
          kilobits.optional(),
          'The sum of the bit rates of all players of live points, in kbit/s.',
          500_000,
        ),
        playerBandwidth: about(
          kilobits.optional(),
          'The bit rate that a player of a live point may have, in kbit/s. Where a point has a limit, too, the lower one counts.',
          4_000,
        ),
        startsPerSecond: about(
          z.number().int().min(1).optional(),
          'Players that may start in a second; more get 503.',
          100,
        ),
        connections: about(z.number().int().min(1).default(20_000), 'Connections of all kinds.'),
        connectionsPerAddress: about(
          z.number().int().min(1).optional(),
          'Connections from one address; default: half of all. 127.0.0.1 is exempt, and some connections are reserved for it.',
          10_000,
        ),
        points: about(
          z.number().int().min(1).default(1_000),
          'Points. Those without an encoder and players make room for new ones.',
        ),
      })
      .default({ connections: 20_000, points: 1_000 }),
    'Limits of the whole server.',
  ),
  live: about(
    z
      .strictObject({
        burst: about(
          seconds.default(3),
          'Seconds of media that a new player gets at once; never less than the preroll.',
        ),
        batchInterval: about(
          z.number().min(0).max(1).optional(),
          'Seconds between two deliveries to a player; default: by what the player has in hand.',
          0.1,
        ),
      })
      .default({ burst: 3 }),
    'How live streams are sent.',
  ),
});

/** @public */
export type ServerConfig = z.output<typeof configSchema>;

/** Two points of one path would be one, with the settings of the last. */
function refuseDuplicates(points: readonly { readonly path: string }[], context: z.RefinementCtx): void {
  const first = new Map<string, number>();
  for (const [index, { path }] of points.entries()) {
    const name = path.length > 1 ? path.replace(/\/$/, '') : path;
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, index);
    else
      context.addIssue({
        code: 'custom',
        path: [index, 'path'],
        message: `${path} is already the path of points[${earlier}]`,
      });
  }
}

/** Returns the configuration of a server without a configuration file. @public */
export function defaultConfig(): ServerConfig {
  return configSchema.parse({});
}

/** A mistake that only shows when settings are compared. */
export interface ConfigProblem {
  readonly path: readonly PropertyKey[];
  /** Continues a sentence that begins with the field. */
  readonly message: string;
}

/**
 * Finds settings that contradict each other: rules that nobody can fulfil without a file of users, because they name
 * users or groups or require a login from everybody; and sources relative to a content folder that is not configured.
 */
export function contradictionsIn(config: ServerConfig): ConfigProblem[] {
  const { users, access, content, points, httpPort, tls, workers, proxy } = config;
  const problems: ConfigProblem[] = [];
  if (workers !== undefined && proxy) {
    problems.push({ path: ['workers'], message: 'cannot be combined with proxy: only one process can keep a cache' });
  }
  if (httpPort === 'none' && !tls) {
    problems.push({ path: ['httpPort'], message: 'may not be none without TLS: the server needs one of the two' });
  }
  const rules = [
    [['access'], access] as const,
    ...points.map((point, index) => [['points', index, 'access'], point.access ?? {}] as const),
  ];
  for (const [path, of] of rules) {
    for (const [name, rule] of Object.entries(of)) {
      if (users !== undefined || rule === undefined || !asksInVain(rule)) continue;
      const message = 'requires users, but there is no file of users: name one (users:, or --users)';
      problems.push({ path: [...path, name], message });
    }
  }
  for (const [index, { source = [] }] of points.entries()) {
    const list = Array.isArray(source);
    for (const [place, written] of [source].flat().entries()) {
      const spec = sourceSpec(written);
      if (content || !('programme' in spec) || isAbsolute(spec.programme)) continue;
      const message = `${spec.programme} is relative to the content folder: name that (content:, or --content)`;
      problems.push({ path: ['points', index, 'source', ...(list ? [place] : [])], message });
    }
  }
  return problems;
}

/** Rejects what {@link contradictionsIn} finds. @throws WmError WM_CONFIG with all of it */
export function checkConfig(config: ServerConfig): void {
  const problems = contradictionsIn(config);
  if (problems.length === 0) return;
  throw new WmError('WM_CONFIG', problems.map(({ path, message }) => `${nameOf(config, path)} ${message}.`).join('\n'));
}

/** Names a field for people who see no file: a point by its path. */
function nameOf({ points }: ServerConfig, [first, index, ...rest]: readonly PropertyKey[]): string {
  if (first === 'points')
    return `${points[Number(index)]?.path}: ${rest.filter((key) => typeof key !== 'number').join('.')}`;
  return [first, index, ...rest].filter((key) => key !== undefined).join('.');
}

function asksInVain({ users = [], groups = [], trusted = [] }: AccessRule): boolean {
  if (trusted.length === 0) return users.length > 0 || groups.length > 0;
  // The default rules are also part of configurations without users.
  return users.some((name) => name !== '*') || groups.some((name) => !ADMIN_DEFAULT.groups.includes(name));
}
