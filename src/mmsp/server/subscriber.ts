/** A client's description of itself in LinkViewerToMacConnect (MS-MMSP 2.2.4.17). */
export interface Subscriber {
  /** Name and version without the GUID, for logs. */
  readonly text: string;
  /** 4 for Windows Media Services 4.x, which states no version. */
  readonly major: number;
  /**
   * True for a relaying Windows Media Services 4.x, which wants padding kept and all streams without selecting them.
   */
  readonly isServer: boolean;
  /** The player's GUID, without braces. */
  readonly guid: string | undefined;
}

/** Reads subscriberName. Accepts anything, because clients in use send many forms. */
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
