import { closeSync, openSync } from 'node:fs';
import { isIPv6 } from 'node:net';
import { devNull } from 'node:os';
import { plainAddress } from './addresses.js';

/** The limits on the connections of a listener. @public */
export interface AdmissionOptions {
  /** Simultaneous connections, all addresses together. */
  readonly connections: number;
  /** Simultaneous connections per address; default half of all. 127.0.0.1 and ::1 have no such limit. */
  readonly perAddress?: number | undefined;
  /** True if the limits are `limits` of a configuration; warnings then name them. */
  readonly configured?: boolean;
  /** Reports refused connections to the operator: one sentence, at most once a minute. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /** Milliseconds from any monotonic clock. */
  readonly now?: () => number;
  /** True if the process cannot open more files; default: tries it. */
  readonly outOfFiles?: () => boolean;
}

const WARNING_INTERVAL = 60_000;
// Connections reserved for this host, so that its operator always gets in.
const MAX_RESERVE = 32;

/**
 * Decides which connections are accepted, for one listener or for several together. One address cannot take them all,
 * and an operator on this host always gets in. Refused connections are reported once a minute.
 *
 * @public
 */
export class Admission {
  #options: AdmissionOptions;
  #perAddress = 0;
  #reserve = 0;
  readonly #now: () => number;
  readonly #held = new Map<string, number>();
  #total = 0;
  // Refused since the last warning.
  #full = 0;
  #crowded = 0;
  #crowdedBy = '';
  #starved = false;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.limit(options);
    this.#now = options.now ?? (() => performance.now());
  }

  /** Changes the limits. Connections that are open stay. */
  limit({ connections, perAddress }: Pick<AdmissionOptions, 'connections' | 'perAddress'>): void {
    this.#options = { ...this.#options, connections };
    this.#perAddress = perAddress ?? Math.max(1, Math.floor(connections / 2));
    this.#reserve = Math.min(MAX_RESERVE, Math.floor(connections / 10));
  }

  /** Connections that are open now. */
  get connections(): number {
    return this.#total;
  }

  /**
   * True if a connection may stay. It counts from then on, until {@link release}.
   * @param address the peer's, as in a socket
   * @param isProxy true if it has connections for many clients, and so no limit of its own
   */
  admit(address: string, isProxy = false): boolean {
    const peer = peerOf(address);
    const own = isOwnHost(peer);
    const held = this.#held.get(peer) ?? 0;
    if (this.#total >= this.#options.connections - (own ? 0 : this.#reserve)) {
      this.#full++;
      this.#warn();
      return false;
    }
    if (!own && !isProxy && held >= this.#perAddress) {
      this.#crowded++;
      this.#crowdedBy = peer;
      this.#warn();
      return false;
    }
    this.keep(address);
    return true;
  }

  /** Counts a connection that was admitted before, and that another process of this server has had. */
  keep(address: string): void {
    const peer = peerOf(address);
    this.#held.set(peer, (this.#held.get(peer) ?? 0) + 1);
    this.#total++;
  }

  /** An admitted connection was closed. */
  release(address: string): void {
    const peer = peerOf(address);
    const held = this.#held.get(peer) ?? 0;
    if (held === 0) return;
    if (held === 1) this.#held.delete(peer);
    else this.#held.set(peer, held - 1);
    this.#total--;
  }

  /** The system could not accept a connection because it ran out of files (EMFILE, ENFILE). */
  starved(): void {
    this.#starved = true;
    this.#warn();
  }

  /**
   * Reports what was refused since the last warning, if a report is due. Also checks if the process can open files: if
   * not, the system closes new connections silently. Call it about once a second.
   */
  sweep(): void {
    if ((this.#options.outOfFiles ?? cannotOpenFiles)()) this.#starved = true;
    this.#warn();
  }

  #warn(): void {
    const { onWarning, connections, configured } = this.#options;
    const named = (setting: string) => (configured ? ` (limits.${setting})` : '');
    const turnedAway = this.#full + this.#crowded;
    if (!onWarning || (turnedAway === 0 && !this.#starved)) return;
    if (this.#now() - this.#warnedAt < WARNING_INTERVAL) return;
    this.#warnedAt = this.#now();
    const reasons: string[] = [];
    if (this.#full > 0)
      reasons.push(`${this.#total} are open, of ${connections} that there may be${named('connections')}`);
    if (this.#crowded > 0) {
      const has = `${this.#crowdedBy} has the ${this.#perAddress} that one address may have`;
      reasons.push(`${has}${named('connectionsPerAddress')}`);
    }
    if (this.#starved) reasons.push('the process may open no more files (raise the limit of its system, ulimit -n)');
    const many = turnedAway === 1 ? '1 connection was' : `${turnedAway === 0 ? 'New' : turnedAway} connections were`;
    this.#full = this.#crowded = 0;
    this.#starved = false;
    onWarning(`${many} turned away: ${reasons.join('; ')}.`);
  }
}

/** The key under which an address is counted. An IPv6 host can choose from 64 bits, so its network counts. */
function peerOf(address: string): string {
  const plain = plainAddress(address);
  if (!isIPv6(plain) || plain === '::1') return plain;
  const [before = '', after] = plain.split('%', 1)[0]!.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}

/** True for the addresses that programs on this host use by default: not all of 127.0.0.0/8. */
function isOwnHost(address: string): boolean {
  return address === '127.0.0.1' || address === '::1';
}

function cannotOpenFiles(): boolean {
  try {
    closeSync(openSync(devNull, 'r'));
    return false;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    return code === 'EMFILE' || code === 'ENFILE';
  }
}
