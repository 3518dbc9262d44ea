import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { notifySystemd } from '../../src/cli/systemd.js';
import { until } from '../support/until.js';
import { newFolder, removeFolders } from './run.js';

afterAll(removeFolders);

describe('systemd', () => {
  it('is told that the server is ready and stopping, and only if it asked for that', async () => {
    const folder = newFolder();
    const told = join(folder, 'told');
    writeFileSync(told, '');
    writeFileSync(join(folder, 'systemd-notify'), `#!/bin/sh\necho "$NOTIFY_SOCKET $*" >> ${told}\n`);
    chmodSync(join(folder, 'systemd-notify'), 0o755);
    const warnings: string[] = [];
    const onWarning = (message: string) => void warnings.push(message);
    const env = { PATH: `${folder}:${process.env['PATH']}` };
    notifySystemd('ready', { env, onWarning });
    notifySystemd('ready', { env: { ...env, NOTIFY_SOCKET: '/run/x' }, onWarning });
    await until('the first call', () => readFileSync(told, 'utf8') !== '');
    notifySystemd('stopping', { env: { ...env, NOTIFY_SOCKET: '/run/x' }, onWarning });
    await until('the second call', () => readFileSync(told, 'utf8').split('\n').length === 3);
    expect(readFileSync(told, 'utf8')).toBe('/run/x --ready\n/run/x STOPPING=1\n');
    expect(warnings).toEqual([]);
  });

  it('that cannot be told is reported', async () => {
    const warnings: string[] = [];
    notifySystemd('ready', {
      env: { PATH: newFolder(), NOTIFY_SOCKET: '/run/x' },
      onWarning: (message) => void warnings.push(message),
    });
    await until('the warning', () => warnings.length > 0);
    expect(warnings[0]).toContain('systemd was not told that the server is ready');
  });
});
