/** One entry of an .asx file: what to call it, and where it is, the best way first. */
export interface AsxEntry {
  readonly title?: string;
  readonly author?: string;
  readonly copyright?: string;
  readonly refs: readonly string[];
}

/** An .asx file (Windows Media metafile, version 3.0) with CR LF line ends, as old players expect them. */
export function buildAsx(entries: readonly AsxEntry[]): string {
  const lines = ['<asx version="3.0">'];
  for (const { title, author, copyright, refs } of entries) {
    lines.push('  <entry>');
    if (title) lines.push(`    <title>${escapeXml(title)}</title>`);
    if (author) lines.push(`    <author>${escapeXml(author)}</author>`);
    if (copyright) lines.push(`    <copyright>${escapeXml(copyright)}</copyright>`);
    for (const ref of refs) lines.push(`    <ref href="${escapeXml(ref)}"/>`);
    lines.push('  </entry>');
  }
  lines.push('</asx>', '');
  return lines.join('\r\n');
}

function escapeXml(text: string): string {
  const named: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
    "'": '&apos;',
  };
  // Control characters cannot stand in XML 1.0 at all.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is to be removed
  return text.replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f]/g, '').replace(/[&<>"']/g, (char) => named[char]!);
}
