import { connect } from 'node:net';

/** What became of an attempt to connect to a server. */
export type Reached =
  /** It accepts connections. */
  | 'there'
  /** Its host says that no program listens: it is gone, for everybody. */
  | 'refused'
  /** Nothing came back in time: others may reach it all the same. */
  | 'silent';

/** The fewest servers of which some can have a majority without the others. */
const FEWEST = 3;

/**
 * Tries to open a connection to a server, and closes it again.
 *
 * @param timeout in ms
 */
export function reach(host: string, port: number, timeout: number): Promise<Reached> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (reached: Reached) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(reached);
    };
    const timer = setTimeout(() => end('silent'), timeout);
    socket.on('connect', () => end('there'));
    // A host or a network that cannot be reached from here may be reached from elsewhere.
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
  });
}

/**
 * True if servers that are silent could decide without this node: they are a majority of at least three. Servers that
 * refuse are gone and decide nothing; one or two servers that are silent say nothing about the others.
 */
export function mayDecideAlone(servers: readonly Reached[]): boolean {
  const silent = servers.filter((each) => each === 'silent').length;
  return servers.length >= FEWEST && silent > servers.length / 2;
}
