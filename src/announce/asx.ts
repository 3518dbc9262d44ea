/** The metadata of one entry of an .asx file, or of the whole file. @public */
export interface AsxAbout {
  readonly title?: string | undefined;
  readonly author?: string | undefined;
  readonly copyright?: string | undefined;
  /** URLs to which players submit logs by HTTP. */
  readonly logUrls?: readonly string[] | undefined;
}

/** One entry of an .asx file: its metadata and its URLs, in order of preference. @public */
export interface AsxEntry extends AsxAbout {
  readonly refs: readonly string[];
  /** Where in the content to begin, in seconds. */
  readonly startTime?: number | undefined;
  /** How long to play, in seconds; default: to the end. */
  readonly duration?: number | undefined;
}

/** Another .asx file whose entries are included here. @public */
export interface AsxEntryRef {
  readonly entryRef: string;
}

/** What to play when a script command of this name occurs in the stream. @public */
export interface AsxEvent {
  readonly name: string;
  /** What to do afterwards; `resume` continues at the point of interruption. */
  readonly whenDone: 'resume' | 'next' | 'break';
  readonly items: ReadonlyArray<AsxEntry | AsxEntryRef>;
}

/** @public */
export interface AsxOptions extends AsxAbout {
  readonly events?: readonly AsxEvent[] | undefined;
}

/**
 * Builds an .asx file (Windows Media metafile, version 3.0) with CR LF line ends, as old players expect them.
 *
 * @public
 */
export function buildAsx(
  items: ReadonlyArray<AsxEntry | AsxEntryRef>,
  { events = [], ...about }: AsxOptions = {},
): string {
  const body = [
    ...aboutLines(about),
    ...events.flatMap(({ name, whenDone, items: inner }) => [
      `<event name="${escapeXml(name)}" whendone="${whenDone.toUpperCase()}">`,
      ...indented(inner.flatMap(itemLines)),
      '</event>',
    ]),
    ...items.flatMap(itemLines),
  ];
  return ['<asx version="3.0">', ...indented(body), '</asx>', ''].join('\r\n');
}

function itemLines(item: AsxEntry | AsxEntryRef): string[] {
  if ('entryRef' in item) return [`<entryref href="${escapeXml(item.entryRef)}"/>`];
  const { refs, startTime, duration } = item;
  const lines = [...aboutLines(item), ...refs.map((ref) => `<ref href="${escapeXml(ref)}"/>`)];
  if (startTime !== undefined) lines.push(`<starttime value="${asTime(startTime)}"/>`);
  if (duration !== undefined) lines.push(`<duration value="${asTime(duration)}"/>`);
  return ['<entry>', ...indented(lines), '</entry>'];
}

function aboutLines({ title, author, copyright, logUrls = [] }: AsxAbout): string[] {
  const lines: string[] = [];
  if (title) lines.push(`<title>${escapeXml(title)}</title>`);
  if (author) lines.push(`<author>${escapeXml(author)}</author>`);
  if (copyright) lines.push(`<copyright>${escapeXml(copyright)}</copyright>`);
  return [...lines, ...logUrls.map((url) => `<logurl href="${escapeXml(url)}"/>`)];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`);
}

/** Seconds as `hh:mm:ss.ff`. */
function asTime(seconds: number): string {
  const hundredths = Math.max(0, Math.round(seconds * 100));
  const part = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const whole = Math.floor(hundredths / 100);
  return `${part(whole / 3600)}:${part((whole / 60) % 60)}:${part(whole % 60)}.${part(hundredths % 100)}`;
}

function escapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  // XML 1.0 cannot represent control characters at all.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to remove
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"']/g, (char) => named[char]!);
}
