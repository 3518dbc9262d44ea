import { readFile } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { z } from 'zod';
import { isMulticastAddress } from '../announce/nsc.js';
import { MAX_TEXT_LENGTH } from '../asf/edit.js';
import type { AccessRule } from '../auth/access.js';
import { messageOf, WmError } from '../errors.js';
import { addressList } from '../http/address-list.js';
import { systemErrorReason } from '../media/system-error.js';
import { sourceSpec } from '../sources/spec.js';
import { parseYamlFile } from '../yaml-file.js';
import { REALM, SCHEMES } from './access/credentials.js';

const port = z.number().int().min(0).max(65_535);
const text = z.string().max(MAX_TEXT_LENGTH);
const seconds = z.number().min(0).max(3_600);

const pathSchema = z.string().regex(/^\/[^\s?#]*$/, 'must be a path such as /live');
const placeSchema = z.string().superRefine((place, context) => {
  try {
    sourceSpec(place);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const NO_ENCODER = 'encode is not supported yet: push to the point with wmpush, or name the URL of an encoder';
/** What feeds a point; a text is a URL, `push`, or the path of a file, a folder or a playlist. */
const sourceSchema = z.union([
  placeSchema,
  z.strictObject({ url: placeSchema.refine((text) => 'url' in sourceSpec(text), 'must be a URL') }),
  z.strictObject({ programme: z.string().min(1) }),
  z.strictObject({ push: z.literal(true) }),
  z.strictObject({ encode: z.string(), profile: z.string().optional() }).refine(() => false, NO_ENCODER),
]);
const addressesSchema = z.array(z.string()).superRefine((entries, context) => {
  try {
    addressList(entries);
  } catch (error) {
    context.addIssue({ code: 'custom', message: messageOf(error) });
  }
});
const namesSchema = z.array(z.string().min(1));

/** Who may do something; docs/server.md explains how the four properties combine. */
const ruleSchema = z.strictObject({
  addresses: addressesSchema.optional(),
  users: namesSchema.optional(),
  groups: namesSchema.optional(),
  trusted: addressesSchema.optional(),
});

/** The settings that a new publishing point copies from its template. */
const settingsShape = {
  access: z.strictObject({ push: ruleSchema.optional(), play: ruleSchema.optional() }).optional(),
  archive: z.string().min(1).optional(),
  burst: seconds.optional(),
  maxPlayers: z.number().int().min(1).optional(),
  autoDestroy: z.boolean().optional(),
  title: text.optional(),
  author: text.optional(),
  copyright: text.optional(),
  description: text.optional(),
};
const settingsSchema = z.strictObject(settingsShape);
const multicastSchema = z.strictObject({
  group: z.string().refine(isMulticastAddress, 'must be the address of a multicast group, such as 239.192.1.1'),
  port: z.number().int().min(1).max(65_535),
  ttl: z.number().int().min(0).max(255).default(1),
  interface: z.string().min(1).optional(),
  fec: z.number().int().min(0).max(15).default(0),
  logUrl: z
    .string()
    .regex(/^http:\/\/\S+$/, 'must be an http:// URL')
    .optional(),
});
const pointSchema = z.strictObject({
  path: pathSchema,
  source: z.union([sourceSchema, z.array(sourceSchema).min(1).max(8)]).optional(),
  filler: z.string().min(1).optional(),
  onDemand: z.boolean().optional(),
  multicast: multicastSchema.optional(),
  ...settingsShape,
});

/** The settings of a publishing point. */
export type PointConfig = z.output<typeof settingsSchema>;

const PUSH_DEFAULT = { trusted: ['loopback'], users: ['*'] };
const ADMIN_DEFAULT = { trusted: ['loopback'], groups: ['admin'] };

/** The configuration file of `wmcast serve`; samples/serve.yaml explains each field. @public */
export const configSchema = z.strictObject({
  host: z.string().min(1).optional(),
  names: z.array(z.string().regex(/^[^\s/:@]+$/, 'must be the name of a host, such as media.example.com')).default([]),
  httpPort: z.union([port, z.literal('none')]).default(8080),
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1), port: port.default(8443) }).optional(),
  proxyProtocol: addressesSchema.optional(),
  users: z.string().min(1).optional(),
  realm: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'must be ASCII')
    .max(255)
    .default(REALM),
  authentication: z
    .array(z.enum(['negotiate', 'ntlm', 'digest', 'basic']))
    .min(1, 'must name a scheme')
    .refine((schemes) => new Set(schemes).size === schemes.length, 'must name each scheme once')
    .default(SCHEMES),
  basicWithoutTls: z.boolean().default(false),
  access: z
    .strictObject({
      push: ruleSchema.default(PUSH_DEFAULT),
      play: ruleSchema.default({}),
      admin: ruleSchema.default(ADMIN_DEFAULT),
    })
    .default({ push: PUSH_DEFAULT, play: {}, admin: ADMIN_DEFAULT }),
  push: z
    .strictObject({
      newPoints: z.enum(['any', 'loopback', 'template', 'none']).default('any'),
      authenticateStart: z.boolean().optional(),
      idleTimeout: z.number().min(10).max(4_294_967).optional(),
    })
    .default({ newPoints: 'any' }),
  msbd: z
    .strictObject({
      port: z.union([port, z.enum(['auto', 'none'])]).optional(),
      netShow: pathSchema.optional(),
      multicast: multicastSchema.pick({ group: true, port: true, ttl: true, interface: true, fec: true }).optional(),
    })
    .default({}),
  mms: z.strictObject({ port: z.union([port, z.literal('none')]).default('none') }).default({ port: 'none' }),
  rtsp: z
    .strictObject({ port: z.union([port, z.literal('none')]).default('none'), rtpPort: port.max(65_534).optional() })
    .default({ port: 'none' }),
  points: z.array(pointSchema).default([]),
  content: z.strictObject({ folder: z.string().min(1), wrapper: z.string().min(1).optional() }).optional(),
  logs: z
    .strictObject({
      folder: z.string().min(1),
      maxSize: z.number().min(1).max(100_000).default(100),
      proxies: addressesSchema.default([]),
      submissions: z.boolean().default(true),
    })
    .optional(),
  privateSources: addressesSchema.default([]),
  redirects: z.array(z.strictObject({ path: pathSchema, to: z.url(), proxy: z.boolean().default(false) })).default([]),
  limits: z
    .strictObject({
      players: z.number().int().min(1).optional(),
      connections: z.number().int().min(1).default(20_000),
      connectionsPerAddress: z.number().int().min(1).optional(),
      points: z.number().int().min(1).default(1_000),
    })
    .default({ connections: 20_000, points: 1_000 }),
  live: z
    .strictObject({
      burst: seconds.default(3),
      batchInterval: z.number().min(0).max(1).optional(),
    })
    .default({ burst: 3 }),
});

/** @public */
export type ServerConfig = z.output<typeof configSchema>;

/** Returns the configuration of a server without a configuration file. @public */
export function defaultConfig(): ServerConfig {
  return configSchema.parse({});
}

/**
 * Reads a YAML configuration.
 *
 * @throws WmError WM_CONFIG with the file, the line and the problem
 * @public
 */
export async function readConfig(file: string): Promise<ServerConfig> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    const sentence = `The configuration ${file} cannot be read: ${systemErrorReason(error)}.`;
    throw new WmError('WM_CONFIG', sentence, { cause: error });
  }
  return parseConfig(text, file);
}

/** Parses a configuration like {@link readConfig}; `file` is its name in messages. @public */
export function parseConfig(text: string, file: string): ServerConfig {
  return parseYamlFile(text, file, configSchema).data;
}

/**
 * Rejects rules that nobody can fulfil without a user file: those that name users or groups, and those that require a
 * login from everybody and trust no address.
 *
 * @throws WmError WM_CONFIG with the place of the rule
 */
export function checkRules({ users, access, points }: ServerConfig): void {
  if (users !== undefined) return;
  const rules = [
    ['access', access] as const,
    ...points.map((point) => [`${point.path}: access`, point.access ?? {}] as const),
  ].flatMap(([place, of]) => Object.entries(of).map(([name, rule]) => [`${place}.${name}`, rule] as const));
  const [bad] = rules.find(([, rule]) => rule !== undefined && asksInVain(rule)) ?? [];
  if (bad === undefined) return;
  throw new WmError('WM_CONFIG', `${bad} requires users, but there is no user file: name one (users:, or --users).`);
}

/**
 * Rejects sources relative to a content folder that is not configured.
 *
 * @throws WmError WM_CONFIG with the point and the source
 */
export function checkSources({ content, points }: ServerConfig): void {
  if (content) return;
  for (const { path, source = [] } of points) {
    for (const written of [source].flat()) {
      const spec = sourceSpec(written);
      if (!('programme' in spec) || isAbsolute(spec.programme)) continue;
      throw new WmError(
        'WM_CONFIG',
        `${path}: source: ${spec.programme} is relative to the content folder: name that (content:, or --content).`,
      );
    }
  }
}

function asksInVain({ users = [], groups = [], trusted = [] }: AccessRule): boolean {
  if (trusted.length === 0) return users.length > 0 || groups.length > 0;
  // The default rules are also part of configurations without users.
  return users.some((name) => name !== '*') || groups.some((name) => !ADMIN_DEFAULT.groups.includes(name));
}
