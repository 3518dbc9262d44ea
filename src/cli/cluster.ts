import { Command, Option } from 'commander';
import { messageOf, WmError } from '../errors.js';
import { takeCredentials } from '../http/credentials.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface ClusterOptions extends ReporterOptions {
  readonly admin: string;
}

interface NodeView {
  readonly name: string;
  readonly self: boolean;
  readonly alive: boolean;
  readonly draining: boolean;
  readonly players: number | null;
  readonly points: number;
}

/** How long the administration may take to answer, in ms. */
const TIMEOUT = 10_000;

/** Builds `wmcast cluster`. */
export function clusterCommand(): Command {
  const command = new Command('cluster').description('Shows the hosts of a cluster, and drains one for maintenance.');
  const actions = [
    ['nodes', 'list the hosts: their players and points'],
    ['drain', 'take no new sessions on a host; its encoders move to others, its players stay until they leave'],
    ['resume', 'take new sessions on a host again'],
  ] as const;
  for (const [name, summary] of actions) {
    const sub = new Command(name).description(summary);
    if (name !== 'nodes') sub.argument('[node]', 'name of the host (default: the one that is asked)');
    sub.addOption(
      new Option(
        '--admin <url>',
        'administration of any host of the cluster, http://user:password@host:port to log in',
      ).default('http://127.0.0.1:8081'),
    );
    command.addCommand(
      addCommonOptions(sub).action(async (...given: unknown[]) => {
        const [node, options] = (name === 'nodes' ? [undefined, ...given] : given) as [
          string | undefined,
          ClusterOptions,
        ];
        if (name === 'nodes') await list(options);
        else await set(name, node, options);
      }),
    );
  }
  return command.addHelpText(
    'after',
    '\nExamples:\n  wmcast cluster nodes\n  wmcast cluster drain node-2\n  wmcast cluster resume node-2 --admin http://root:secret@node-1:8080',
  );
}

async function list(options: ClusterOptions): Promise<void> {
  const reporter = new Reporter(options);
  const nodes = await nodesOf(options);
  for (const node of nodes) {
    if (options.json) {
      reporter.event('node', { ...node });
      continue;
    }
    const state = node.alive ? (node.draining ? 'draining' : 'in service') : 'gone';
    reporter.print(
      `${node.name}${node.self ? ' (asked)' : ''}: ${state}, ${node.players ?? '?'} players, ${node.points} points`,
    );
  }
}

async function set(action: 'drain' | 'resume', node: string | undefined, options: ClusterOptions): Promise<void> {
  const reporter = new Reporter(options);
  const name = node ?? (await nodesOf(options)).find(({ self }) => self)?.name ?? '';
  await ask(options, `/api/nodes/${encodeURIComponent(name)}/${action}`, 'POST');
  reporter.event(action, { node: name });
  reporter.info(action === 'drain' ? `${name} takes no new sessions.` : `${name} takes new sessions again.`);
}

async function nodesOf(options: ClusterOptions): Promise<readonly NodeView[]> {
  return ((await ask(options, '/api/nodes', 'GET')) as { nodes: NodeView[] }).nodes;
}

/** @throws WmError WM_UNREACHABLE, WM_AUTH_REFUSED, WM_USAGE if there is no cluster or no such host */
async function ask({ admin }: ClusterOptions, path: string, method: string): Promise<unknown> {
  const { url, credentials } = takeCredentials(admin);
  const login = credentials && Buffer.from(`${credentials.user}:${credentials.password}`).toString('base64');
  const headers = { 'X-Requested-With': 'wmcast', ...(login === undefined ? {} : { Authorization: `Basic ${login}` }) };
  let response: Response;
  try {
    response = await fetch(new URL(path, url), { method, headers, signal: AbortSignal.timeout(TIMEOUT) });
  } catch (error) {
    const why = error instanceof Error && error.cause !== undefined ? error.cause : error;
    throw new WmError('WM_UNREACHABLE', `The administration at ${url} cannot be reached: ${messageOf(why)}`, {
      cause: error,
      hint: '--admin names the administration of a host; see its ready line for the port.',
    });
  }
  const body = (response.status === 204 ? undefined : await response.json().catch(() => undefined)) as
    | { error?: string }
    | undefined;
  if (response.ok) return body;
  const code = response.status === 401 || response.status === 403 ? 'WM_AUTH_REFUSED' : 'WM_FAILED';
  throw new WmError(code, body?.error ?? `The administration answered ${response.status}.`);
}
