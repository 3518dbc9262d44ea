import { z } from 'zod';
import { REALM, SCHEMES } from './access/credentials.js';
import {
  about,
  addressesSchema,
  clusterSchema,
  faultsSchema,
  hookSchema,
  kilobits,
  multicastSchema,
  pathSchema,
  place,
  pointSchema,
  port,
  portOrNone,
  ruleSchema,
  seconds,
} from './config-fields.js';

const PUSH_DEFAULT = { trusted: ['loopback'], users: ['*'] };
/** Who may use the administration by default. */
export const ADMIN_DEFAULT = { trusted: ['loopback'], groups: ['admin'] };

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
        fec: about(
          z.number().int().min(0).max(24).optional(),
          'Offers UDP players a packet of forward error correction after this many packets; it restores one lost packet of them. ' +
            'Only players that ask for it get it, and they may ask for more or less. Default: 0, none.',
          24,
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
  drain: about(
    z.number().min(0).max(2_000_000).optional(),
    'Seconds that players may stay in a process that an upgrade has replaced (SIGUSR2, wmcast upgrade). Default: 600.',
    3600,
  ),
  cluster: about(
    clusterSchema.optional(),
    'Share publishing points with other hosts over NATS: every host takes pushes and plays every point; docs/cluster.md describes it.',
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
        accelRedirect: about(
          z
            .string()
            .regex(/^\/[\x21-\x7e]*\/$/, 'must begin and end with a slash')
            .optional(),
          'An internal location of an nginx in front, whose alias is the folder. It sends plain files itself, if its requests have the field X-Sendfile-Type: X-Accel-Redirect.',
          '/wmcast-content/',
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
  hls: about(
    z
      .strictObject({
        points: about(
          z.number().int().min(1).max(100).default(2),
          'The most points that are encoded at a time; each takes much of a processor.',
        ),
      })
      .optional(),
    'Live points for browsers and phones: HLS at /live/index.m3u8. ffmpeg encodes a point (H.264, AAC) from its first viewer to its last.',
  ),
  stills: about(
    z.boolean().default(true),
    'True to show a picture of what is on air in the guide and on the status page: one frame, which ffmpeg decodes when somebody looks.',
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
