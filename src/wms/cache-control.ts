/** The events that a server can subscribe to (MS-WMSP 2.2.1.1.10). */
export type RemoteEventName = 'remote-open' | 'remote-close' | 'remote-log';

/** The Cache-Control directives of a response (MS-WMSP 2.2.1.1). */
export interface CacheRules {
  /** How long a copy may be used without asking the server, in seconds; undefined if the server does not say. */
  readonly maxAge: number | undefined;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly noStore: boolean;
  readonly private: boolean;
  readonly public: boolean;
  readonly proxyPublic: boolean;
  readonly userPublic: boolean;
  /** The approximate size of the content, in bytes. */
  readonly contentSize: number | undefined;
  /** `broadcast`, `playlist`; empty for a file. */
  readonly streamTypes: ReadonlySet<string>;
  /** True if one stream may be forwarded to several clients. */
  readonly split: boolean;
  /** The events that the server wants to receive. */
  readonly events: ReadonlySet<RemoteEventName>;
}

/** The largest number that a directive can have. */
const LARGEST = Number.MAX_SAFE_INTEGER;

/** Reads the directives of Cache-Control. Unknown and malformed ones are ignored; of several, the first one counts. */
export function parseCacheControl(text: string): CacheRules {
  const values = new Map<string, string>();
  for (const [, name = '', quoted, plain] of text.matchAll(/([\w-]+)(?:\s*=\s*(?:"([^"]*)"|([^\s,"]*)))?/g)) {
    const known = name.toLowerCase();
    if (!values.has(known)) values.set(known, quoted ?? plain ?? '');
  }
  const has = (name: string) => values.has(name);
  const number = (name: string) => {
    const digits = values.get(name) ?? '';
    return /^\d+$/.test(digits) ? Math.min(Number(digits), LARGEST) : undefined;
  };
  const list = (name: string) =>
    (values.get(name) ?? '')
      .split(',')
      .map((each) => each.trim().toLowerCase())
      .filter((each) => each !== '');
  return {
    maxAge: number('max-age'),
    mustRevalidate: has('must-revalidate'),
    proxyRevalidate: has('proxy-revalidate'),
    noStore: has('no-store'),
    private: has('private'),
    public: has('public'),
    proxyPublic: has('proxy-public'),
    userPublic: has('user-public'),
    contentSize: number('x-wms-content-size'),
    streamTypes: new Set(list('x-wms-stream-type')),
    split: has('x-wms-proxy-split'),
    events: new Set(list('x-wms-event-subscription') as RemoteEventName[]),
  };
}

/**
 * True if a proxy may keep the content (MS-WMSP 3.1.5.3): it has to be shared with proxies, and may be stored. To share
 * is `proxy-public`, which overrides `private`, or `public`.
 */
export function mayCache(rules: CacheRules): boolean {
  return !rules.noStore && mayShare(rules);
}

/** True if a proxy may give one copy to several clients. */
export function mayShare({ proxyPublic, public: isPublic, private: isPrivate }: CacheRules): boolean {
  return proxyPublic || (isPublic && !isPrivate);
}

/** True if a proxy has to ask the server before each use of its copy, however new that is (MS-WMSP 2.2.1.1.2, .5). */
export function mustAsk({ mustRevalidate, proxyRevalidate }: CacheRules): boolean {
  return mustRevalidate || proxyRevalidate;
}
