/** Who a client says it is in LinkViewerToMacConnect (MS-MMSP 2.2.4.17). */
export interface Subscriber {
  /** For logs: the name and version, without the GUID. */
  readonly text: string;
  /** 4 for Windows Media Services 4.x, which names no version. */
  readonly major: number;
  /** True for Windows Media Services 4.x that relays: it wants padding kept, and all streams without asking for them. */
  readonly isServer: boolean;
  /** The player's GUID, without braces. */
  readonly guid: string | undefined;
}

/** Reads subscriberName; anything at all is taken, as clients in use send many forms. */
export function readSubscriber(name: string): Subscriber {
  const isServer = /^Spoo{2,4}on!/i.test(name);
  const version = /^NSPlayer\/(\d{1,5})(?:\.\d{1,5}){0,3}/i.exec(name);
  const text = isServer
    ? 'Windows Media Services 4'
    : (version?.[0] ?? name.slice(0, 40).replace(/[^\x20-\x7e]/g, '?'));
  return {
    text,
    major: isServer ? 4 : Number(version?.[1] ?? 4),
    isServer,
    guid: /\{([0-9a-f-]{36})\}/i.exec(name)?.[1]?.toLowerCase(),
  };
}
