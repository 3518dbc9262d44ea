import { sep } from 'node:path';

// With the time appended, well below the limit of file systems for a name, 255 bytes.
const MAX_NAME = 180;
const DEFAULT_NAME = '{point}-{date}T{time}';

/** The names of the files of one point's archive. */
export class ArchiveNames {
  readonly #template: string;
  readonly #point: string;
  readonly #pattern: RegExp;

  /**
   * @param point the path of the point
   * @param template with `{point}`, `{date}` and `{time}` (UTC), and folders before the name; without its suffix
   */
  constructor(point: string, template: string = DEFAULT_NAME) {
    this.#template = template;
    this.#point = encodeURIComponent(point.slice(1)).slice(0, MAX_NAME).replace(/^\./, '%2E');
    const source = template
      .split(/(\{(?:point|date|time)\})/)
      .map((part) => PATTERNS[part] ?? escaped(part === '{point}' ? this.#point : part))
      .join('');
    this.#pattern = new RegExp(`^${source}(?:-\\d{1,6})?\\.asf$`);
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
}

const PATTERNS: Readonly<Record<string, string>> = {
  '{date}': '\\d{4}-\\d\\d-\\d\\d',
  '{time}': '\\d\\d-\\d\\d-\\d\\d\\.\\d{3}Z',
};

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
