import { fileURLToPath } from 'node:url';
import { execaSync } from 'execa';
import { Child } from './child.js';
import type { CommandEvent } from './commands.js';
import { program, type Requirement } from './programs.js';

const SENDER = '10.77.5.1';
const RECEIVER = '10.77.5.2';

function run(...command: readonly string[]): void {
  const [file = '', ...args] = command;
  execaSync(file, args);
}

/** Root, which may create network namespaces, and the kernel's filter that drops packets. */
export const namespaces: readonly Requirement[] = [
  program('ip'),
  program('nft'),
  {
    name: 'root with network namespaces',
    present: () => {
      const name = `wmcast-try-${process.pid}`;
      if (execaSync('ip', ['netns', 'add', name], { reject: false }).exitCode !== 0) return false;
      const tried = execaSync('ip', ['netns', 'exec', name, 'nft', 'list', 'ruleset'], { reject: false });
      execaSync('ip', ['netns', 'del', name], { reject: false });
      return tried.exitCode === 0;
    },
  },
];

/** Two hosts with their own network between them; the second may lose some of its packets. */
export class TwoHosts {
  readonly sender = { namespace: `wmcast-a-${process.pid}`, address: SENDER };
  readonly receiver = { namespace: `wmcast-b-${process.pid}`, address: RECEIVER };

  constructor() {
    const [a, b] = [this.sender.namespace, this.receiver.namespace];
    for (const name of [a, b]) run('ip', 'netns', 'add', name);
    run('ip', 'link', 'add', 'wire', 'netns', a, 'type', 'veth', 'peer', 'name', 'wire', 'netns', b);
    for (const { namespace, address } of [this.sender, this.receiver]) {
      run('ip', '-n', namespace, 'addr', 'add', `${address}/24`, 'dev', 'wire');
      run('ip', '-n', namespace, 'link', 'set', 'lo', 'up');
      run('ip', '-n', namespace, 'link', 'set', 'wire', 'up');
    }
    for (const { namespace } of [this.sender, this.receiver]) this.#comesUp(namespace);
    for (const { namespace } of [this.sender, this.receiver]) {
      this.#nftIn(namespace, 'add table inet loss');
      this.#nftIn(namespace, 'add chain inet loss input { type filter hook input priority 0 ; }');
    }
  }

  /** Drops one of a number of datagrams to the port: each n-th, or at random. */
  lose(port: number, oneOf: number, how: 'inc' | 'random'): void {
    this.#nft('flush chain inet loss input');
    this.#nft(`add rule inet loss input udp dport ${port} numgen ${how} mod ${oneOf} 0 counter drop`);
  }

  /** Drops datagrams to either of the two at random. @param percent of all; 0 ends it */
  loseDatagrams(percent: number): void {
    for (const { namespace } of [this.sender, this.receiver]) {
      this.#nftIn(namespace, 'flush chain inet loss input');
      const some = `numgen random mod 100 < ${percent}`;
      if (percent > 0) this.#nftIn(namespace, `add rule inet loss input meta l4proto udp ${some} counter drop`);
    }
  }

  /** Drops one of a number of datagrams to the receiver, each n-th, and all to the sender. */
  loseOneWay(oneOf: number): void {
    this.#nft('flush chain inet loss input');
    this.#nft(`add rule inet loss input meta l4proto udp numgen inc mod ${oneOf} 0 counter drop`);
    this.#nftIn(this.sender.namespace, 'flush chain inet loss input');
    this.#nftIn(this.sender.namespace, 'add rule inet loss input meta l4proto udp drop');
  }

  /** The number of datagrams dropped since {@link lose}. */
  get lost(): number {
    const { stdout } = execaSync(
      'ip',
      this.#in(this.receiver.namespace, 'nft', 'list', 'chain', 'inet', 'loss', 'input'),
    );
    return Number(/counter packets (\d+)/.exec(stdout)![1]);
  }

  /** Runs `wmcast` on one of the two. */
  wmcast(host: { readonly namespace: string }, ...args: readonly string[]): { child: Child; events: CommandEvent[] } {
    const bin = fileURLToPath(new URL('../../../bin/wmcast.js', import.meta.url));
    return this.program(host, process.execPath, bin, ...args);
  }

  program(
    host: { readonly namespace: string },
    ...command: readonly string[]
  ): { child: Child; events: CommandEvent[] } {
    const events: CommandEvent[] = [];
    const onOutput = (line: string) => {
      if (line.startsWith('{')) events.push(JSON.parse(line) as CommandEvent);
    };
    return { child: new Child('ip', this.#in(host.namespace, ...command), { onOutput }), events };
  }

  close(): void {
    for (const { namespace } of [this.sender, this.receiver])
      execaSync('ip', ['netns', 'del', namespace], { reject: false });
  }

  /** The kernel takes up to a second to say that a link runs; until then programs do not see its addresses. */
  #comesUp(namespace: string): void {
    const late = performance.now() + 10_000;
    while (!execaSync('ip', ['-n', namespace, '-o', 'link', 'show', 'dev', 'wire']).stdout.includes(' state UP '))
      if (performance.now() > late) throw new Error(`The link in ${namespace} does not come up.`);
  }

  #nft(rule: string): void {
    this.#nftIn(this.receiver.namespace, rule);
  }

  #nftIn(namespace: string, rule: string): void {
    run('ip', ...this.#in(namespace, 'nft', rule));
  }

  #in(namespace: string, ...command: readonly string[]): string[] {
    return ['netns', 'exec', namespace, ...command];
  }
}
