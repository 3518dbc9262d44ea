import { cpus, hostname, networkInterfaces } from 'node:os';
import { isLoopback } from '../../http/addresses.js';
import { checkedValues, countValue, type LogValues } from '../../wmlog/fields.js';

/** The load is measured again after so many ms. */
const LOAD_INTERVAL = 1_000;

/** The facts about this host that a server adds to logs ([MS-WMLOG] 2.1.41 to 2.1.47). */
export class HostFacts {
  readonly #address: string | undefined;
  #load = 0;
  #measuredAt = Number.NEGATIVE_INFINITY;
  #busy = 0;
  #total = 0;

  /** @param host the address that the server listens on; undefined for all */
  constructor(host: string | undefined) {
    this.#address = host === undefined || host === '0.0.0.0' || host === '::' ? undefined : host;
    this.#measure(performance.now());
  }

  /** The addresses that clients can connect to. */
  get addresses(): readonly string[] {
    if (this.#address !== undefined) return [this.#address];
    return Object.values(networkInterfaces()).flatMap((each) =>
      (each ?? []).filter(({ internal }) => !internal).map(({ address }) => address),
    );
  }

  get name(): string {
    return hostname();
  }

  /**
   * Returns s-ip, s-dns, s-totalclients and s-cpu-util.
   *
   * @param client the address of the client
   * @param players the number of players
   */
  values(client: string, players: number): LogValues {
    const own = isLoopback(client) ? client : (this.#address ?? this.addresses[0] ?? '-');
    const { values } = checkedValues([
      ['s-ip', own],
      ['s-dns', this.name],
      ['s-totalclients', countValue(players)],
      ['s-cpu-util', countValue(this.#cpuPercent())],
    ]);
    return values;
  }

  #cpuPercent(): number {
    const now = performance.now();
    if (now - this.#measuredAt >= LOAD_INTERVAL) this.#measure(now);
    return this.#load;
  }

  #measure(now: number): void {
    let [busy, total] = [0, 0];
    for (const { times } of cpus()) {
      const all = times.user + times.nice + times.sys + times.irq + times.idle;
      total += all;
      busy += all - times.idle;
    }
    const passed = total - this.#total;
    if (this.#total > 0 && passed > 0) this.#load = Math.round((100 * (busy - this.#busy)) / passed);
    this.#measuredAt = now;
    this.#busy = busy;
    this.#total = total;
  }
}
