import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { ClusterNode } from '../../cluster/node.js';
import type { SessionRegistry } from '../../playback/registry.js';
import type { AdminActions } from './actions.js';
import type { PlayerTotals } from './player-totals.js';

/** Points with metrics of their own; the rest is summed up under the label `other`, so that labels stay few. */
const MAX_POINTS = 500;

/** How often the delay of the event loop is measured, in ms. */
const LAG_PRECISION = 100;

/** What the figures are about. */
export interface MetricsOptions {
  readonly actions: AdminActions;
  readonly sessions: SessionRegistry;
  readonly totals: PlayerTotals;
  /** This host, if it is one of a cluster. */
  readonly cluster: ClusterNode | undefined;
}

/**
 * The figures of a server for Prometheus. They are computed when they are asked for. Names follow the counters of
 * Windows Media Services where it had one.
 */
export class Metrics {
  readonly #registry = new Registry();
  #collectsProcess = false;

  constructor({ actions, sessions, totals, cluster }: MetricsOptions) {
    const registers = [this.#registry];
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    // Counters that the server keeps itself are set, not increased.
    const counter = (name: string, help: string, value: () => number) =>
      new Counter({
        name,
        help,
        registers,
        collect() {
          this.reset();
          this.inc(value());
        },
      });
    gauge('wmcast_connections', 'Open connections.', () => actions.status().connections);
    gauge('wmcast_publishers', 'Encoders that publish.', () => actions.status().publishers);
    gauge('wmcast_points', 'Publishing points.', () => actions.status().points);
    gauge('wmcast_uptime_seconds', 'Time since the start.', () => actions.status().uptime);
    counter(
      'wmcast_received_bytes_total',
      'Bytes received from encoders and other servers.',
      () => actions.status().bytesIn,
    );
    counter('wmcast_sent_bytes_total', 'Bytes sent to players and groups.', () => actions.status().bytesOut);
    counter('wmcast_received_packets_total', 'Packets received.', () => actions.status().packetsIn);
    counter('wmcast_sends_total', 'Writes of packets to players.', () => actions.status().sends);
    counter(
      'wmcast_late_sends_total',
      'Writes with a packet that was due more than 500 ms before.',
      () => actions.status().lateSends,
    );
    counter(
      'wmcast_skipped_packets_total',
      'Packets skipped for players that were too slow.',
      () => actions.status().skippedPackets,
    );
    counter('wmcast_dropped_players_total', 'Players that lagged for too long.', () => actions.status().droppedPlayers);
    new Gauge({
      name: 'wmcast_players',
      help: 'Players, by protocol.',
      labelNames: ['protocol'],
      registers,
      async collect() {
        const { sessions: players } = await sessions.list({ role: 'player', here: true });
        this.reset();
        for (const { protocol } of players) this.inc({ protocol });
      },
    });
    gauge('wmcast_players_peak', 'The most players at a time since the start.', () => totals.peak);
    new Counter({
      name: 'wmcast_players_started_total',
      help: 'Players that have started, by protocol.',
      labelNames: ['protocol'],
      registers,
      collect() {
        this.reset();
        for (const [protocol, players] of totals.byProtocol) this.inc({ protocol }, players);
      },
    });
    const perPoint = (
      name: string,
      help: string,
      value: (point: ReturnType<AdminActions['points']>[number]) => number,
    ) =>
      new Gauge({
        name,
        help,
        labelNames: ['point'],
        registers,
        collect() {
          this.reset();
          for (const [index, point] of actions.points().entries()) {
            this.inc({ point: index < MAX_POINTS ? point.path : 'other' }, value(point));
          }
        },
      });
    perPoint('wmcast_point_live', '1 while a source feeds the point.', ({ live }) => Number(live));
    perPoint('wmcast_point_players', 'Players of the live point.', ({ players }) => players);
    perPoint('wmcast_point_received_bytes', 'Bytes received from the source.', ({ bytesIn }) => bytesIn);
    perPoint('wmcast_point_sent_bytes', 'Bytes sent to players.', ({ bytesOut }) => bytesOut);
    perPoint('wmcast_point_late_sends', 'Writes that were more than 500 ms late.', ({ lateSends }) => lateSends);
    perPoint(
      'wmcast_point_skipped_packets',
      'Packets skipped for slow players.',
      ({ skippedPackets }) => skippedPackets,
    );
    if (cluster) this.#addCluster(cluster);
  }

  /** Adds the figures of a host of a cluster. */
  #addCluster(node: ClusterNode): void {
    const registers = [this.#registry];
    const figures: [name: string, help: string, value: () => number][] = [
      ['wmcast_cluster_connected', '1 while the host works with the others.', () => Number(node.connected)],
      ['wmcast_cluster_nodes', 'Hosts of the cluster that are alive, with this one.', () => node.others.length + 1],
      ['wmcast_cluster_owned_points', 'Points that this host owns.', () => node.ownership.paths.length],
      ['wmcast_cluster_sent_points', 'Points of this host that others follow.', () => node.senders.size],
      ['wmcast_cluster_followed_points', 'Points of other hosts that this one follows.', () => node.followed],
      ['wmcast_cluster_sent_bytes', 'Bytes of points sent to other hosts.', () => node.senders.bytesSent],
      [
        'wmcast_cluster_left_out_packets',
        'Packets not sent, because NATS was congested or gone.',
        () => node.senders.leftOut,
      ],
      ['wmcast_cluster_lost_packets', 'Packets lost between hosts.', () => node.lostPackets],
    ];
    for (const [name, help, value] of figures) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    }
  }

  /** The media type of {@link text}. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Returns all figures in the text format of Prometheus. */
  text(): Promise<string> {
    // They wake the process again and again, so only a server that is asked for its figures collects them.
    if (!this.#collectsProcess) {
      this.#collectsProcess = true;
      const precision = { eventLoopMonitoringPrecision: LAG_PRECISION };
      collectDefaultMetrics({ register: this.#registry, prefix: 'wmcast_', ...precision });
    }
    return this.#registry.metrics();
  }
}
