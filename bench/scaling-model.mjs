// A model of clusters of 10 to 1000 nodes in regions: who plays what where, what each node, nats-server and gateway has to carry, and
// how long points are without an owner while nodes die. docs/scaling.md explains it.
//
//   node bench/scaling-model.mjs [--seed 1] [--json]
import { parseArgs } from 'node:util';
import { beatInterval } from '../dist/cluster/directory.js';
import { Random } from '../dist/testing/random.js';

const { values } = parseArgs({
  options: { seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } },
});

/** What was measured, or is fixed in the program. */
const FACTS = {
  /** Bits per second of a stream. */
  rate: 500_000,
  /** Players of a node at that rate: an interface of 10 Gbit/s, half used. */
  playersPerNode: 10_000,
  /** Batches a second of a point, and bytes around each: subject, lengths, acknowledgements of TCP. */
  batches: 40,
  batchHead: 150,
  /** Bytes of a beat as each node gets it, with the heads of the store. */
  beat: 320,
  /** Bytes of the figures that nodes tell each other once a second: a head, and for each point with players. */
  figures: 120,
  figuresOfPoint: 30,
  /** Bits per second that a nats-server carries on two cores; messages a second likewise. */
  natsBits: 4e9,
  natsMessages: 1e6,
  /** Beats after which a lease runs out; ms that an owner without connection keeps its point; ms of a round trip. */
  lease: 5,
  grace: 1_200,
  roundTrip: 40,
};

/** Clusters to look at: nodes, regions, points, share of places taken. */
const CASES = [
  { nodes: 10, regions: 1, points: 50 },
  { nodes: 30, regions: 3, points: 200 },
  { nodes: 100, regions: 5, points: 500 },
  { nodes: 300, regions: 10, points: 1_000 },
  { nodes: 1_000, regions: 20, points: 2_000 },
];

/** Shares out players over points, the n-th most popular of which has 1/n of the players of the first. */
function sharesOf(points) {
  const weights = Array.from({ length: points }, (_, index) => 1 / (index + 1));
  const sum = weights.reduce((total, each) => total + each, 0);
  return weights.map((each) => each / sum);
}

/** The number of nodes that have at least one of some players: each comes to one of the nodes of its region. */
function nodesWith(players, nodes, random) {
  if (players > 20 * nodes) return nodes;
  const taken = new Set();
  for (let each = 0; each < players; each++) taken.add(random.below(nodes));
  return taken.size;
}

function loadOf({ nodes, regions, points }, random) {
  const perRegion = nodes / regions;
  const players = nodes * FACTS.playersPerNode * 0.7;
  const shares = sharesOf(points);
  let followed = 0;
  let crossings = 0;
  let withPlayers = 0;
  for (const share of shares) {
    const inRegion = (players * share) / regions;
    const home = random.below(regions);
    for (let region = 0; region < regions; region++) {
      // A region with less than one player on average has one sometimes.
      const count = Math.floor(inRegion) + (random.fraction() < inRegion % 1 ? 1 : 0);
      if (count === 0) continue;
      const following = nodesWith(count, perRegion, random);
      withPlayers += following;
      followed += following - (region === home ? 1 : 0);
      if (region !== home) crossings++;
    }
  }
  const bits = FACTS.rate + FACTS.batches * FACTS.batchHead * 8;
  const interval = beatInterval(nodes);
  // Every node sees every beat, and hears the figures of every other.
  const beatBits = ((nodes * 1000) / interval) * FACTS.beat * 8;
  const figureBits = nodes * (FACTS.figures + (withPlayers / nodes) * FACTS.figuresOfPoint) * 8;
  const servers = regions * 3;
  return {
    nodes,
    regions,
    points,
    playersOut: (players * FACTS.rate) / nodes,
    mediaIn: (followed * bits) / nodes,
    controlIn: beatBits + figureBits,
    gateway: (crossings * bits) / regions,
    natsOut: (followed * bits + nodes * (beatBits + figureBits)) / servers,
    natsMessages: (followed * FACTS.batches + nodes * ((nodes * 1000) / interval + nodes)) / servers,
    writes: (nodes * 1000) / interval,
  };
}

/** Kills nodes at random moments between their beats, and looks when another node owns their points. */
function absences(nodes, random) {
  const interval = beatInterval(nodes);
  const times = { killed: [], silent: [] };
  for (let each = 0; each < 2_000; each++) {
    // The encoder comes back after one to two tries of 250 to 500 ms, to a node that asks the old owner.
    const comeBack = 250 + random.fraction() * 250 + random.fraction() * 500;
    const write = FACTS.roundTrip * (1 + random.fraction());
    // Its connection to NATS is gone with it: nobody answers, and the grace runs.
    times.killed.push(comeBack + Math.ceil(FACTS.grace / 250) * 250 + write);
    // A host that vanishes: the lease has to run out, by the beats of the node that is asked.
    const lease = (FACTS.lease + random.fraction() + 1) * interval;
    times.silent.push(Math.max(comeBack, lease) + 250 * random.fraction() + write);
  }
  const of = (all) => {
    all.sort((a, b) => a - b);
    return { median: all[all.length >> 1], p99: all[Math.floor(all.length * 0.99)] };
  };
  return { killed: of(times.killed), silent: of(times.silent) };
}

const random = new Random(Number(values.seed));
const rows = CASES.map((each) => ({ ...loadOf(each, random), away: absences(each.nodes, random) }));
if (values.json) {
  for (const row of rows) console.log(JSON.stringify(row));
} else {
  const mega = (bits) => (bits / 1e6).toFixed(bits < 1e7 ? 1 : 0);
  const s = (ms) => (ms / 1000).toFixed(1);
  console.log(
    '| nodes | regions | points | to players, a node | media in, a node | control in, a node | gateways of a region | out of a nats-server | of its messages | beats a second | away: killed, p99 | vanished, p99 |',
  );
  console.log('|---|---|---|---|---|---|---|---|---|---|---|---|');
  for (const row of rows) {
    const cells = [
      row.nodes,
      row.regions,
      row.points,
      `${mega(row.playersOut)} Mbit/s`,
      `${mega(row.mediaIn)} Mbit/s`,
      `${mega(row.controlIn)} Mbit/s`,
      `${mega(row.gateway)} Mbit/s`,
      `${mega(row.natsOut)} Mbit/s (${Math.round((100 * row.natsOut) / FACTS.natsBits)} %)`,
      `${Math.round(row.natsMessages / 1000)} k/s (${Math.round((100 * row.natsMessages) / FACTS.natsMessages)} %)`,
      Math.round(row.writes),
      `${s(row.away.killed.p99)} s`,
      `${s(row.away.silent.p99)} s`,
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
