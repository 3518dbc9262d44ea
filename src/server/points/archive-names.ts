import { sep } from 'node:path';

// With the time appended, well below the limit of file systems for a name, 255 bytes.
const MAX_NAME = 180;
const DEFAULT_NAME = '{point}-{date}T{time}';

/** The names of the files of one point's archive. */
export class ArchiveNames {
  readonly #template: string;
  readonly #point: string;
  readonly #pattern: RegExp;
  readonly #anyPoint: RegExp | undefined;

  /**
   * @param point the path of the point
   * @param template with `{point}`, `{date}` and `{time}` (UTC), and folders before the name; without its suffix
   */
  constructor(point: string, template: string = DEFAULT_NAME) {
    this.#template = template;
    this.#point = encodeURIComponent(point.slice(1)).slice(0, MAX_NAME).replace(/^\./, '%2E');
    const pattern = (name: string) => {
      let named = false;
      const parts = template.split(/(\{(?:point|date|time)\})/).map((part) => {
        if (part !== '{point}') return PATTERNS[part] ?? escaped(part);
        const [first, again] = name === '' ? ['([^/]{1,200})', '\\1'] : [escaped(name), escaped(name)];
        const written = named ? again : first;
        named = true;
        return written;
      });
      return new RegExp(`^${parts.join('')}(?:-\\d{1,6})?\\.asf$`);
    };
    this.#pattern = pattern(this.#point);
    // A template without both would take any file for a recording.
    this.#anyPoint = template.includes('{point}') && template.includes('{date}') ? pattern('') : undefined;
  }

  /** Returns the name of a file that begins at a time, with its folders. */
  at(time: Date): string {
    const [date = '', clock = ''] = time.toISOString().replaceAll(':', '-').split('T');
    return `${this.#template.replaceAll('{point}', this.#point).replaceAll('{date}', date).replaceAll('{time}', clock)}.asf`;
  }

  /** True for a name that this archive may have given to a file. */
  matches(name: string): boolean {
    return this.#pattern.test(name.replaceAll(sep, '/'));
  }

  /** Returns the path of the point that the same template gives a name of that kind; undefined if it gives none. */
  pointOf(name: string): string | undefined {
    const written = this.#anyPoint?.exec(name.replaceAll(sep, '/'))?.[1];
    if (written === undefined) return undefined;
    try {
      return `/${decodeURIComponent(written)}`;
    } catch {
      // The name of another program's file, or one that was cut within an escape.
      return undefined;
    }
  }
}

const PATTERNS: Readonly<Record<string, string>> = {
  '{date}': '\\d{4}-\\d\\d-\\d\\d',
  '{time}': '\\d\\d-\\d\\d-\\d\\d\\.\\d{3}Z',
};

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
