/** Figures of a server. @public */
export interface AdminStatus {
  /** Seconds since the start. */
  readonly uptime: number;
  readonly version: string;
  /** The name or address of the server in the URLs of players. */
  readonly host: string;
  /** Ports by protocol. */
  readonly ports: Readonly<Record<string, number>>;
  readonly connections: number;
  readonly players: number;
  /** The most players at a time since the start. */
  readonly playersPeak: number;
  readonly publishers: number;
  readonly points: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly packetsIn: number;
  /** Writes of packets to players. */
  readonly sends: number;
  /** Writes with a packet that was due more than 500 ms before. */
  readonly lateSends: number;
  /** Packets skipped for players that were too slow. */
  readonly skippedPackets: number;
  /** Players that lagged for too long. */
  readonly droppedPlayers: number;
  /** Counters of a proxy. */
  readonly proxy?: Readonly<Record<string, number>> | undefined;
}

/** An encoder that publishes. @public */
export interface AdminPublisher {
  readonly remoteAddress: string;
  readonly user: string | null;
  /** True if its connection broke and it may come back. */
  readonly lost: boolean;
  /** ISO 8601. */
  readonly since: string;
}

/** A stream of a point. @public */
export interface AdminStream {
  readonly number: number;
  readonly type: string;
  readonly codec: string;
  /** Bits per second; 0 if unknown. */
  readonly bitrate: number;
  readonly encrypted: boolean;
  readonly hidden: boolean;
  readonly language?: string | undefined;
  /** Pixels. */
  readonly width?: number | undefined;
  readonly height?: number | undefined;
  readonly framesPerSecond?: number | undefined;
  readonly channels?: number | undefined;
  readonly samplesPerSecond?: number | undefined;
}

/** A publishing point. @public */
export interface AdminPoint {
  readonly path: string;
  readonly configured: boolean;
  readonly live: boolean;
  readonly stopped: boolean;
  readonly acceptsPlayers: boolean;
  readonly players: number;
  readonly publisher: AdminPublisher | null;
  readonly title: string | null;
  /** Bits per second, as the header says; 0 if it is offline. */
  readonly bitRate: number;
  readonly streams: readonly AdminStream[];
  /** True if there can be a picture of what is on air. */
  readonly still: boolean;
  /** True if pushes are recorded. */
  readonly archived: boolean;
  readonly packetsIn: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly sends: number;
  readonly lateSends: number;
  readonly skippedPackets: number;
  readonly droppedPlayers: number;
  /** How often a source came back and continued. */
  readonly splices: number;
}

/** A player or an encoder. @public */
export interface AdminSession {
  readonly id: string;
  readonly role: 'player' | 'publisher';
  readonly protocol: string;
  readonly transport: string;
  readonly path: string;
  readonly entry: number | null;
  readonly client: string;
  readonly remoteAddress: string;
  readonly user: string | null;
  /** ISO 8601. */
  readonly since: string;
  readonly bytes: number;
  readonly packets: number;
  readonly lost: number;
}

/** A recording. @public */
export interface AdminArchive {
  readonly point: string;
  /** The name below the folder of the archive. */
  readonly name: string;
  readonly bytes: number;
  /** ISO 8601. */
  readonly modified: string;
  /** True while it is being recorded. */
  readonly recording: boolean;
  /** True if its point is no longer there. */
  readonly removed: boolean;
  /** Where it is, relative to the root of the administration. */
  readonly href: string;
}

/** A process of a server. @public */
export interface AdminProcess {
  /** The second number in the ids of its sessions; 0 is the main process. */
  readonly number: number;
  readonly pid: number;
  /** The version of wmcast that it runs. */
  readonly version: string;
  /** `draining`: it was replaced, and ends once its players have gone. */
  readonly state: 'starting' | 'serving' | 'draining';
  /** When it was started, in ms since 1970. */
  readonly since: number;
  readonly players: number;
  readonly connections: number;
}

/** A host of a cluster. @public */
export interface AdminNode {
  readonly name: string;
  /** The first number in the ids of its sessions. */
  readonly number: number;
  /** True for the host that was asked. */
  readonly self: boolean;
  readonly alive: boolean;
  /** True if it takes no new sessions. */
  readonly draining: boolean;
  /** Null if the host does not tell. */
  readonly players: number | null;
  /** The points that it owns. */
  readonly points: number;
}

/** A line of the log. @public */
export interface AdminLogLine {
  /** ISO 8601. */
  readonly at: string;
  readonly name: 'point' | 'play' | 'played' | 'warning' | 'reload';
  readonly data: Readonly<Record<string, unknown>>;
}

/** A file of session logs. @public */
export interface AdminSessionLog {
  readonly name: string;
  readonly bytes: number;
  /** When it was last written to, ISO 8601. */
  readonly modified: string;
  /** Where the API has the file, relative to its root. */
  readonly href: string;
}

/** The last lines of the session logs. @public */
export interface AdminLogTail {
  /** The file that the lines are of; null before the first one. */
  readonly file: string | null;
  /** Given back as `after`, it gets the lines that follow. */
  readonly cursor: string;
  /** The names of the fields of a line. */
  readonly fields: readonly string[];
  /** Whole lines, the oldest first. */
  readonly lines: readonly string[];
}
