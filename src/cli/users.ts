import { Command } from 'commander';
import { makeSecrets, SECRET_KINDS, type SecretKind } from '../auth/secrets.js';
import { type UserEntry, userKey } from '../auth/store.js';
import { changeUserFile, checkUserName, readUserFile } from '../auth/user-file.js';
import { WmError } from '../errors.js';
import { newPassword } from './password.js';
import { addCommonOptions, parsedBy } from './program.js';
import { Reporter, type ReporterOptions } from './reporter.js';

const DEFAULT_FILE = 'users.yaml';
const DEFAULT_REALM = 'wmcast';

interface UsersOptions extends ReporterOptions {
  readonly file?: string;
}

interface SecretOptions extends UsersOptions {
  readonly schemes?: readonly SecretKind[];
  readonly realm?: string;
  readonly passwordStdin?: boolean;
}

interface AddOptions extends SecretOptions {
  readonly group?: readonly string[];
}

/** Builds `wmcast users` with its sub-commands. */
export function usersCommand(): Command {
  const users = new Command('users').description('Manages the file of users that a server accepts.');
  users.addCommand(
    withSecrets(users.createCommand('add'))
      .description('add a user; asks for the password')
      .argument('<name>')
      .option('--group <name...>', 'groups that the user belongs to')
      .action((name: string, options: AddOptions) => add(name, options)),
  );
  users.addCommand(
    withSecrets(users.createCommand('passwd'))
      .description('give a user a new password; groups and schemes stay unless named')
      .argument('<name>')
      .action((name: string, options: SecretOptions) => changePassword(name, options)),
  );
  users.addCommand(
    withFile(users.createCommand('remove'))
      .description('remove a user')
      .argument('<name>')
      .action((name: string, options: UsersOptions) => remove(name, options)),
  );
  users.addCommand(
    withFile(users.createCommand('list'))
      .description('list users with their groups and schemes')
      .action((options: UsersOptions) => list(options)),
  );
  return users.addHelpText(
    'after',
    '\nExample: wmcast users add alice --group encoders --file users.yaml\n  then, in the configuration of wmcast serve:  users: users.yaml',
  );
}

function withFile(command: Command): Command {
  return addCommonOptions(
    command.option('--file <path>', `the file of users (default: WMCAST_USERS, or ${DEFAULT_FILE} here)`),
  );
}

function withSecrets(command: Command): Command {
  return withFile(command)
    .option(
      '--schemes <list>',
      `what the password is for: ${SECRET_KINDS.join(',')} (default: all)`,
      parsedBy(parseSchemes),
    )
    .option('--realm <text>', 'the realm of the server, for digest (default: that of the user, or wmcast)')
    .option('--password-stdin', 'read the password from standard input instead of asking; WMCAST_PASSWORD works too');
}

function parseSchemes(text: string): readonly SecretKind[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase());
  const kinds = SECRET_KINDS.filter((kind) => names.includes(kind) || (kind === 'ntlm' && names.includes('negotiate')));
  const unknown = names.find((name) => name !== 'negotiate' && !SECRET_KINDS.some((kind) => kind === name));
  if (unknown !== undefined) {
    throw new WmError('WM_USAGE', `It takes ${SECRET_KINDS.join(', ')}, separated by commas.`);
  }
  return kinds;
}

function fileOf({ file }: UsersOptions): string {
  return file ?? (process.env['WMCAST_USERS'] || DEFAULT_FILE);
}

function kindsOf({ basic, digest, nt }: UserEntry): SecretKind[] {
  const has: Record<SecretKind, boolean> = { basic: !!basic, digest: !!digest, ntlm: !!nt };
  return SECRET_KINDS.filter((kind) => has[kind]);
}

function ask(options: SecretOptions): Promise<string> {
  return newPassword({
    fromStdin: options.passwordStdin ?? false,
    environment: process.env,
    input: process.stdin,
    ask: (text) => process.stderr.write(text),
  });
}

async function add(name: string, options: AddOptions): Promise<void> {
  const path = fileOf(options);
  for (const each of [name, ...(options.group ?? [])]) checkUserName(each);
  const taken = () =>
    new WmError('WM_FAILED', `${path} has a user ${name} already; wmcast users passwd changes the password.`);
  // Check this before somebody types a password twice.
  if ((await readUserFile(path).catch(() => undefined))?.users.has(userKey(name))) throw taken();
  const password = await ask(options);
  const { schemes = SECRET_KINDS, realm = DEFAULT_REALM } = options;
  const entry = {
    name,
    groups: [...new Set(options.group ?? [])],
    ...(await makeSecrets(name, password, realm, schemes)),
  };
  await changeUserFile(path, async (users) => {
    if (users.has(userKey(name))) throw taken();
    return { name, entry };
  });
  report(options, entry, `Added ${name} to ${path}.`);
}

async function changePassword(name: string, options: SecretOptions): Promise<void> {
  const path = fileOf(options);
  const before = known((await readUserFile(path)).users, name, path);
  const password = await ask(options);
  const { schemes = kindsOf(before), realm = before.digest?.realm ?? DEFAULT_REALM } = options;
  const secrets = await makeSecrets(before.name, password, realm, schemes);
  await changeUserFile(path, async (users) => {
    const { name: own, groups } = known(users, name, path);
    return { name: own, entry: { name: own, groups, ...secrets } };
  });
  const { name: own, groups } = before;
  report(options, { name: own, groups, ...secrets }, `${own} has a new password.`);
}

async function remove(name: string, options: UsersOptions): Promise<void> {
  const path = fileOf(options);
  await readUserFile(path);
  await changeUserFile(path, async (users) => ({ name: known(users, name, path).name, entry: undefined }));
  const reporter = new Reporter(options);
  reporter.event('removed', { name });
  reporter.info(`Removed ${name} from ${path}.`);
}

function known(users: ReadonlyMap<string, UserEntry>, name: string, path: string): UserEntry {
  const entry = users.get(userKey(name));
  if (!entry) throw new WmError('WM_FAILED', `${path} has no user ${name}.`);
  return entry;
}

async function list(options: UsersOptions): Promise<void> {
  const reporter = new Reporter(options);
  const path = fileOf(options);
  const { users, open } = await readUserFile(path);
  if (open) reporter.warn(`Other users of this host can read ${path}; run chmod 600 on it.`);
  for (const entry of users.values()) {
    const { name, groups } = entry;
    const schemes = kindsOf(entry);
    reporter.event('user', { name, groups, schemes });
    if (!reporter.json) reporter.print([name, groups.join(',') || '-', schemes.join(',') || '-'].join('\t'));
  }
}

function report(options: UsersOptions, entry: UserEntry, sentence: string): void {
  const reporter = new Reporter(options);
  reporter.event('user', { name: entry.name, groups: entry.groups, schemes: kindsOf(entry) });
  reporter.info(sentence);
}
