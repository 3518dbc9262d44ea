import { Command } from 'commander';
import { type AdminOption, adminOption, ask } from './admin-request.js';
import { addCommonOptions } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

interface ClusterOptions extends ReporterOptions, AdminOption {}

interface NodeView {
  readonly name: string;
  readonly self: boolean;
  readonly alive: boolean;
  readonly draining: boolean;
  readonly players: number | null;
  readonly points: number;
}

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
    sub.addOption(adminOption('any host of the cluster'));
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
