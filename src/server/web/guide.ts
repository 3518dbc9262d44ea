/** A publishing point in the guide. */
export interface GuideEntry {
  readonly path: string;
  readonly title: string;
  readonly author: string;
  readonly description: string;
  readonly live: boolean;
  /** True if there can be a picture of what is on air. */
  readonly still: boolean;
  /** True if browsers can play it themselves. */
  readonly hls?: boolean;
  /** In bits per second; 0 if unknown. */
  readonly bitRate: number;
  /** URLs for players, in the order in which they should be tried. */
  readonly urls: readonly string[];
}

/** What a visitor asks the guide for. */
export interface GuideQuery {
  /** Words that a point must have in its path or its texts; empty for all. */
  readonly search: string;
  /** Counted from 1. */
  readonly page: number;
}

/** Points on a page: about as many as fit into 640 by 480 pixels after some scrolling. */
const PAGE_SIZE = 20;
const MAX_SEARCH = 100;

/** Reads the query of a URL; nonsense counts as absent. */
export function guideQuery(query: URLSearchParams): GuideQuery {
  const page = Number(query.get('page') ?? 1);
  return {
    search: (query.get('q') ?? '').trim().slice(0, MAX_SEARCH),
    page: Number.isInteger(page) && page >= 1 && page <= 100_000 ? page : 1,
  };
}

/**
 * Builds the guide: what is on, for browsers from 1998 on. HTML 3.2 without scripts and style sheets; characters beyond
 * ASCII are references, so that no browser has to know an encoding.
 */
export function guidePage(title: string, all: readonly GuideEntry[], { search, page }: GuideQuery): string {
  const words = search.toLowerCase().split(/\s+/);
  const found = all.filter((entry) => {
    const text = `${entry.path} ${entry.title} ${entry.author} ${entry.description}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const pages = Math.max(1, Math.ceil(found.length / PAGE_SIZE));
  const current = Math.min(page, pages);
  const shown = found.slice((current - 1) * PAGE_SIZE, current * PAGE_SIZE);
  return [
    '<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">',
    '<HTML>',
    '<HEAD>',
    '<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=US-ASCII">',
    `<TITLE>${text(title)}</TITLE>`,
    '</HEAD>',
    '<BODY BGCOLOR="#FFFFFF" TEXT="#000000" LINK="#0000CC" VLINK="#551A8B">',
    `<H1>${text(title)}</H1>`,
    '<FORM METHOD="GET" ACTION="/">',
    `<P>Search: <INPUT TYPE="TEXT" NAME="q" SIZE="30" MAXLENGTH="${MAX_SEARCH}" VALUE="${text(search)}">`,
    '<INPUT TYPE="SUBMIT" VALUE="Search"></P>',
    '</FORM>',
    ...(shown.length === 0
      ? [`<P>${search === '' ? 'Nothing is on at the moment.' : 'Nothing fits.'}</P>`]
      : table(shown)),
    ...(pages > 1 ? [`<P>${pageLinks(search, current, pages)}</P>`] : []),
    '</BODY>',
    '</HTML>',
    '',
  ].join('\n');
}

function table(entries: readonly GuideEntry[]): string[] {
  const hasPictures = entries.some(({ still }) => still);
  const names = [...(hasPictures ? ['&#160;'] : []), 'What is on', 'Play', 'Addresses for players'];
  return [
    '<TABLE BORDER="1" CELLPADDING="4" WIDTH="100%">',
    `<TR>${names.map((name) => `<TH ALIGN="LEFT">${name}</TH>`).join('')}</TR>`,
    ...entries.flatMap((entry) => row(entry, hasPictures)),
    '</TABLE>',
  ];
}

function row(
  { path, title, author, description, live, still, hls, bitRate, urls }: GuideEntry,
  hasPictures: boolean,
): string[] {
  const href = escapedPath(path);
  const facts = [
    ...(live ? [] : ['starts with the first player']),
    ...(bitRate > 0 ? [`${Math.round(bitRate / 1000)} kbit/s`] : []),
  ];
  const about = [author, description, facts.join(', ')].filter((part) => part !== '');
  const play = ['asx', 'm3u', 'pls'].map((ending) => `<A HREF="${text(href)}.${ending}">.${ending}</A>`);
  // Not a link: without a text, it would be read out by its address.
  const picture = `<IMG SRC="${text(href)}.jpg" ALT="" WIDTH="160">`;
  if (hls) play.push(`<A HREF="${text(href)}/index.m3u8">browser</A>`);
  return [
    '<TR VALIGN="TOP">',
    ...(hasPictures ? [`<TD>${still ? picture : '&#160;'}</TD>`] : []),
    `<TD><A HREF="${text(href)}.asx"><B>${text(title === '' ? path : title)}</B></A>${about.map((part) => `<BR>${text(part)}`).join('')}</TD>`,
    `<TD>${play.join(' ')}</TD>`,
    `<TD>${urls.map((url) => `<A HREF="${text(url)}">${text(url)}</A>`).join('<BR>')}</TD>`,
    '</TR>',
  ];
}

function pageLinks(search: string, current: number, pages: number): string {
  const link = (page: number, name: string) => {
    const query = new URLSearchParams({ ...(search === '' ? {} : { q: search }), page: String(page) });
    return `<A HREF="${text(`/?${query}`)}">${name}</A>`;
  };
  return [
    ...(current > 1 ? [link(current - 1, 'Previous page')] : []),
    `Page ${current} of ${pages}`,
    ...(current < pages ? [link(current + 1, 'Next page')] : []),
  ].join(' | ');
}

/** Makes a text safe for an element or a quoted attribute: ASCII, with numeric references. */
function text(value: string): string {
  return value.replace(/[^\x20-\x7e]|[&<>"']/gu, (character) => {
    const code = character.codePointAt(0)!;
    // Controls have no meaning in a text, and halves of characters none at all.
    return code < 32 || (code >= 127 && code < 160) || (code >= 0xd800 && code < 0xe000) ? ' ' : `&#${code};`;
  });
}

function escapedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}
