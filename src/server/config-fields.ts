import { z } from 'zod';
import { isMulticastAddress } from '../announce/nsc.js';
import { MAX_TEXT_LENGTH } from '../asf/edit.js';
import { findProfile } from '../capture/profiles.js';
import { messageOf } from '../errors.js';
import { addressList } from '../http/address-list.js';
import { sourceSpec } from '../sources/spec.js';
import { parseFaults } from '../testing/fault-plan.js';
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
export function about<T extends z.ZodType>(schema: T, description: string, sample?: unknown): T {
  return schema.meta({ ...schema.meta(), description, ...(sample === undefined ? {} : { sample }) }) as T;
}

/** The path of a file or a folder of this host, absolute or relative to the configuration file. */
export function place(kind: 'file' | 'folder' | 'output'): z.ZodString {
  return z.string().min(1).meta({ place: kind });
}

export const port = z.number('must be a port from 0 to 65535').int().min(0).max(65_535);
export const portOrNone = z.union([port, z.literal('none')], 'must be a port from 0 to 65535, or none');
const text = z.string().max(MAX_TEXT_LENGTH);
export const kilobits = z.number().min(1);
export const seconds = z.number().min(0).max(3_600);

export const pathSchema = z.string().regex(/^\/[^\s?#]*$/, 'must be a path such as /live');
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
    packager: z.string().trim().min(1).optional(),
  }),
]);
export const addressesSchema = z.array(z.string()).superRefine((entries, context) => {
  try {
    addressList(entries);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
export const faultsSchema = z.string().superRefine((text, context) => {
  try {
    parseFaults(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const namesSchema = z.array(z.string().min(1));

/** Who may do something; docs/server.md explains how the four properties combine. */
export const ruleSchema = z.strictObject({
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
export const multicastSchema = z.strictObject({
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
export const pointSchema = z.strictObject({
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

const natsUrl = z.string().superRefine((written, context) => {
  const url = URL.parse(written);
  const fits =
    url !== null && /^(?:nats|tls):$/.test(url.protocol) && url.hostname !== '' && /^\/?$/.test(url.pathname);
  if (!fits) context.addIssue({ code: 'custom', message: 'must be a URL such as nats://nats.example:4222' });
});
const nodeName = z.string().regex(/^[\w.-]{1,64}$/, 'must be a name of letters, digits, dots, dashes and underscores');

/** The hosts that share publishing points. */
export const clusterSchema = z.strictObject({
  servers: about(
    z.array(natsUrl).min(1, 'must name a server').max(32),
    'The NATS servers, with JetStream: nats://host:4222, or tls://; nats://user:password@host or nats://token@host to log in.',
    ['nats://nats-1.example:4222', 'nats://nats-2.example:4222'],
  ),
  node: about(
    nodeName.optional(),
    'The name of this host in the cluster, which no other may have; default: its host name.',
    'node-1',
  ),
  name: about(
    z
      .string()
      .regex(/^[\w-]{1,32}$/, 'must be a name of letters, digits, dashes and underscores')
      .default('wmcast'),
    'The name of the cluster: all hosts with the same one share their points. Subjects begin with it, and the bucket of keys has it.',
  ),
  tls: about(
    z
      .strictObject({
        ca: about(
          place('file').optional(),
          'Certificates that sign those of the servers, in PEM form.',
          '/etc/wmcast/ca.pem',
        ),
        cert: about(place('file').optional(), 'The certificate of this host, in PEM form.', '/etc/wmcast/nats.pem'),
        key: about(place('file').optional(), 'The key of that certificate, in PEM form.', '/etc/wmcast/nats-key.pem'),
      })
      .optional(),
    'TLS to the servers, with certificates of their own.',
  ),
  credentials: about(
    place('file').optional(),
    'A file of credentials (.creds), as the tools of NATS write them.',
    '/etc/wmcast/node-1.creds',
  ),
  replicas: about(
    z.union([z.literal(1), z.literal(3), z.literal(5)], 'must be 1, 3 or 5').optional(),
    'How many servers keep the keys; counts for the host that creates them. Default: 3 if there are as many servers, else 1.',
    3,
  ),
});

export const hookSchema = z
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
