import type { AccessControl } from '../../auth/access.js';
import { LoginMemory } from '../../auth/login-memory.js';
import type { ClusterNode } from '../../cluster/node.js';
import type { TlsIdentity } from '../../http/server.js';
import type { DiskCache } from '../../proxy/cache/disk-cache.js';
import { type FaultPlan, parseFaults } from '../../testing/fault-plan.js';
import { openAccess } from '../access/credentials.js';
import { readTls } from '../access/tls-files.js';
import { joinCluster } from '../cluster/cluster.js';
import type { ServerConfig } from '../config.js';
import { openCache } from '../proxying.js';
import type { StartOptions } from '../reloader.js';
import type { WorkerPart } from '../workers/worker.js';

/** What is opened before the server is created: the access control, the TLS identity, and the part of a worker. */
export interface Means extends StartOptions {
  readonly part: WorkerPart | undefined;
  readonly node: ClusterNode | undefined;
  readonly cache: DiskCache | undefined;
  readonly tls: TlsIdentity | undefined;
  readonly access: AccessControl;
  readonly logins: LoginMemory;
  readonly faults: FaultPlan | undefined;
}

/**
 * Opens what a server with this configuration needs before it is created.
 *
 * @throws WmError WM_CONFIG if the users, the key or the certificate are unusable, or the cluster refuses this node
 */
export async function openMeans(
  config: ServerConfig,
  onWarning: (message: string) => void,
  { load, file, part }: StartOptions & { readonly part?: WorkerPart | undefined },
): Promise<Means> {
  const logins = part?.logins ?? new LoginMemory();
  return {
    part,
    load,
    file,
    logins,
    tls: config.tls && (await readTls(config.tls, onWarning)),
    access: await openAccess({ ...config, schemes: config.authentication }, onWarning, logins),
    faults: config.faults === undefined ? undefined : parseFaults(config.faults),
    cache: await openCache(config, onWarning),
    // Last: a node that has joined has to leave again.
    node: part ? undefined : await joinCluster(config, onWarning),
  };
}
