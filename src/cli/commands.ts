import { Command } from 'commander';
import { addCommand, newProgram, run } from './program.js';

const SUMMARY = 'The Windows Media streaming system: media server and tools.';

interface Entry {
  readonly summary: string;
  load(): Promise<Command>;
}

/** The commands by name. The module of each is loaded on demand, so that it starts as fast as its own imports allow. */
const commands: Readonly<Record<string, Entry>> = {
  serve: {
    summary: 'run the media server: accept pushes, serve players',
    load: async () => (await import('./serve.js')).serveCommand(),
  },
  push: {
    summary: 'capture or read, and push to a publishing point (also wmpush)',
    load: async () => (await import('./push.js')).pushCommand('push'),
  },
  'pull-serve': {
    summary: 'capture or read, and let servers and players pull (also wmpull-serve)',
    load: async () => (await import('./pull-serve.js')).pullServeCommand('pull-serve'),
  },
  pull: {
    summary: 'receive a stream and record it',
    load: async () => (await import('./pull.js')).pullCommand(),
  },
  relay: {
    summary: 'carry a stream from any source to any sink',
    load: async () => (await import('./relay.js')).relayCommand(),
  },
  probe: {
    summary: 'describe what is at a URL or in an ASF file',
    load: async () => (await import('./probe.js')).probeCommand(),
  },
  judge: {
    summary: 'test a server, a player or an encoder against the rules',
    load: async () => (await import('./judge.js')).judgeCommand(),
  },
  announce: {
    summary: 'write .asx, .m3u and .nsc files that lead players to a stream',
    load: async () => (await import('./announce.js')).announceCommand(),
  },
  control: {
    summary: 'switch inputs, pause and send script commands while wmpush runs with --control',
    load: async () => (await import('./control-client.js')).controlCommand(),
  },
  profiles: {
    summary: 'list the encoder settings that --profile names',
    load: async () => (await import('./profiles.js')).profilesCommand(),
  },
  devices: {
    summary: 'list the cameras and microphones that wmpush can capture from',
    load: async () => (await import('./devices.js')).devicesCommand(),
  },
  logs: {
    summary: 'read log files: sessions, viewers, losses',
    load: async () => (await import('./logs.js')).logsCommand(),
  },
  users: {
    summary: 'manage the file of users that a server accepts',
    load: async () => (await import('./users.js')).usersCommand(),
  },
  cluster: {
    summary: 'list the hosts of a cluster, and drain one for maintenance',
    load: async () => (await import('./cluster.js')).clusterCommand(),
  },
  upgrade: {
    summary: 'replace the processes of a running server, without dropping its players',
    load: async () => (await import('./upgrade.js')).upgradeCommand(),
  },
  init: {
    summary: 'write a commented configuration for serve',
    load: async () => (await import('./init.js')).initCommand(),
  },
  config: {
    summary: 'check a configuration, or show what is in effect',
    load: async () => (await import('./config.js')).configCommand(),
  },
  completion: {
    summary: 'print a script that completes commands in bash, zsh or fish',
    load: async () => (await import('./completion.js')).completionCommand(wholeProgram),
  },
  doctor: {
    summary: 'check this host: ffmpeg and its encoders, free ports',
    load: async () => (await import('./doctor.js')).doctorCommand(),
  },
};

/** Builds the program with all of its commands, for whatever is made from their help: manual pages and completions. */
export async function wholeProgram(): Promise<Command> {
  const program = newProgram('wmcast', SUMMARY);
  for (const { summary, load } of Object.values(commands)) addCommand(program, (await load()).summary(summary));
  return program;
}

/** Returns the command that the arguments name, even if only to show its help. */
function called(argv: readonly string[]): string | undefined {
  const [first, second] = argv.slice(2).filter((argument) => !argument.startsWith('-'));
  return first === 'help' ? second : first;
}

/** The program `wmcast`: runs the command that the arguments name. */
export async function wmcast(argv: readonly string[]): Promise<never> {
  const program = newProgram('wmcast', SUMMARY).usage('<command> [options]');
  const wanted = called(argv);
  for (const [name, { summary, load }] of Object.entries(commands)) {
    if (name === wanted) addCommand(program, (await load()).summary(summary));
    else program.addCommand(new Command(name).description(summary));
  }
  program.addHelpText('after', '\nwmcast <command> --help describes one command.');
  return run(program, argv);
}
