import { type Rule, ruleOf } from '../auth/access.js';
import type { AddressGuard } from '../http/address-guard.js';
import { publicAddresses } from '../http/address-guard.js';
import { addressList } from '../http/address-list.js';
import type { Redirect } from '../playback/content.js';
import type { ServerLimits } from '../playback/limits.js';
import { type Caching, DEFAULT_CACHING } from '../wmsp/messages/responses.js';
import type { ServerConfig } from './config.js';
import { ContentRoot, type ContentRootOptions } from './content/content.js';
import type { AccelRedirect } from './content/plain-file.js';
import { namesOf } from './web/pages.js';

// How long a file that was found in the content folder is not looked up again, in ms.
const PATHS_REMEMBERED = 1_000;

/** The settings that can change while a server runs. Users of them ask for them each time. */
export class LiveSettings {
  #config: ServerConfig;
  #derived: ReturnType<typeof derivedFrom>;
  #content: ContentRoot | undefined;

  /** @throws WmError WM_CONFIG if the wrapper playlist is not one below the content folder */
  constructor(config: ServerConfig) {
    this.#config = config;
    this.#derived = derivedFrom(config);
    this.#content = contentOf(config);
  }

  /** Takes over another configuration at once, or nothing of it. @throws WmError as the constructor */
  update(config: ServerConfig): void {
    const derived = derivedFrom(config);
    const { content } = this.#config;
    const isSame = content?.folder === config.content?.folder && content?.wrapper === config.content?.wrapper;
    // The folder's cache is kept if nothing about it has changed.
    if (!isSame) this.#content = contentOf(config);
    this.#config = config;
    this.#derived = derived;
  }

  get config(): ServerConfig {
    return this.#config;
  }

  get content(): ContentRoot | undefined {
    return this.#content;
  }

  /** What an nginx in front of the server sends files with. */
  get accelRedirect(): AccelRedirect | undefined {
    const { folder, accelRedirect: location } = this.#config.content ?? {};
    return folder === undefined || location === undefined ? undefined : { location, folder };
  }

  /** What caches may do with files. */
  get caching(): Caching {
    const { maxAge, revalidate } = this.#config.content ?? {};
    return { maxAge: maxAge ?? DEFAULT_CACHING.maxAge, revalidate: revalidate ?? DEFAULT_CACHING.revalidate };
  }

  get rules(): { readonly push: Rule; readonly play: Rule; readonly admin: Rule } {
    return this.#derived.rules;
  }

  get redirects(): ReadonlyMap<string, Redirect> {
    return this.#derived.redirects;
  }

  get limits(): ServerLimits {
    return this.#derived.limits;
  }

  /** The names under which the server may be addressed. */
  get names(): ReadonlySet<string> {
    return this.#derived.names;
  }

  /** Where announcements and redirects of other hosts may lead. */
  readonly guard: AddressGuard = { allows: (address) => this.#derived.guard.allows(address) };
}

function derivedFrom({ access, names, host, redirects, privateSources, limits }: ServerConfig) {
  const { players, bandwidth, playerBandwidth, startsPerSecond } = limits;
  const bits = (kilobits: number | undefined) => (kilobits === undefined ? undefined : kilobits * 1000);
  return {
    limits: { players, bandwidth: bits(bandwidth), playerBandwidth: bits(playerBandwidth), startsPerSecond },
    rules: { push: ruleOf(access.push), play: ruleOf(access.play), admin: ruleOf(access.admin) },
    names: namesOf([...names, ...(host === undefined ? [] : [host])]),
    redirects: new Map<string, Redirect>(redirects.map(({ path, to, proxy }) => [path, { redirect: to, proxy }])),
    guard: publicAddresses(addressList(privateSources)),
  };
}

function contentOf({ content }: ServerConfig): ContentRoot | undefined {
  if (!content) return undefined;
  const remember = PATHS_REMEMBERED;
  const options: ContentRootOptions =
    content.wrapper === undefined ? { remember } : { remember, wrapper: content.wrapper };
  return new ContentRoot(content.folder, options);
}
