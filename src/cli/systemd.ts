import { execFile } from 'node:child_process';

/**
 * Tells systemd that a service is ready or stopping, if it was started with `Type=notify`; otherwise does nothing. Goes
 * through systemd-notify, because Node.js has no Unix datagrams; the unit needs `NotifyAccess=all`.
 *
 * @param onWarning called if systemd cannot be told
 */
export function notifySystemd(
  state: 'ready' | 'stopping',
  { env = process.env, onWarning }: { readonly env?: NodeJS.ProcessEnv; readonly onWarning: (message: string) => void },
): void {
  if (!env['NOTIFY_SOCKET']) return;
  const args = state === 'ready' ? ['--ready'] : ['STOPPING=1'];
  execFile('systemd-notify', args, { env, timeout: 5_000 }, (error) => {
    if (error) onWarning(`systemd was not told that the server is ${state}: ${error.message.trim()}.`);
  });
}
