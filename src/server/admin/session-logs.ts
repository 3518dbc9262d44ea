import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HttpError } from '../../http/message.js';
import type { OpenedFile } from './archives.js';

/** A file of session logs. */
export interface SessionLogFile {
  readonly name: string;
  readonly bytes: number;
  /** When it was last written to. */
  readonly modified: string;
  /** Where the API has the file, relative to its root. */
  readonly href: string;
}

/** The last lines of the session logs, and how to ask for those that follow. */
export interface SessionLogTail {
  /** The file that the lines are of; null before the first one. */
  readonly file: string | null;
  /** Given back as `after`, it gets the lines that follow. */
  readonly cursor: string;
  /** The names of the fields of a line. */
  readonly fields: readonly string[];
  /** Whole lines of sessions, the oldest first. */
  readonly lines: readonly string[];
}

/** The names that the log writer gives: of a day, and of further files of the same day. */
const NAME = /^WMS_\d{8}(?:_\d{3,6})?\.log$/;
/** The part of a file that is read for one answer, in bytes. */
const MOST = 256 * 1024;
/** The head with the names of the fields is shorter, in bytes. */
const HEAD = 8 * 1024;
/** Files that are looked at for one answer. */
const MAX_FILES = 2_000;

/** Lists the files of a folder of session logs, the newest first. @param folder undefined if nothing is logged */
export async function listSessionLogs(
  folder: string | undefined,
  limit: number,
): Promise<{ readonly total: number; readonly files: readonly SessionLogFile[] }> {
  const names = folder === undefined ? [] : await logNames(folder);
  const files: SessionLogFile[] = [];
  for (const name of names.slice(0, Math.min(limit, MAX_FILES))) {
    const stats = await stat(join(folder!, name)).catch(() => undefined);
    if (!stats?.isFile()) continue;
    const href = `api/session-logs/${encodeURIComponent(name)}`;
    files.push({ name, bytes: stats.size, modified: stats.mtime.toISOString(), href });
  }
  return { total: names.length, files };
}

/** Opens a file of session logs. @throws HttpError 404 */
export async function openSessionLog(folder: string | undefined, name: string): Promise<OpenedFile> {
  const file = await openLog(folder, name);
  const stats = await file.stat();
  return { file, bytes: stats.size, modified: stats.mtime, name };
}

/**
 * Returns the last lines of the newest file, or those after a cursor. A cursor of an earlier file goes on to its end, and
 * then to the next file.
 *
 * @param limit the most lines to return
 * @param after the cursor of an earlier answer
 * @throws HttpError 400 for anything else
 */
export async function tailSessionLogs(
  folder: string | undefined,
  { limit, after }: { readonly limit: number; readonly after?: string | undefined },
): Promise<SessionLogTail> {
  const names = folder === undefined ? [] : await logNames(folder);
  const asked = after === undefined || after === '' ? undefined : placeOf(after);
  const newest = names[0];
  // The file may have been deleted meanwhile.
  const name = asked && names.includes(asked.name) ? asked.name : newest;
  if (name === undefined) return { file: null, cursor: '', fields: [], lines: [] };
  const file = await openLog(folder, name);
  try {
    const { size } = await file.stat();
    const fields = fieldsIn(await textAt(file, 0, Math.min(size, HEAD)));
    const goesOn = asked?.name === name;
    const from = goesOn ? Math.min(asked.offset, size) : Math.max(0, size - MOST);
    const text = await textAt(file, from, Math.min(size, from + MOST));
    const { lines, bytes } = linesOf(text, goesOn || from === 0, goesOn ? limit : Number.POSITIVE_INFINITY);
    const end = from + bytes;
    const next = names[names.indexOf(name) - 1];
    const cursor = goesOn && bytes === 0 && next !== undefined ? `${next}:0` : `${name}:${end}`;
    return { file: name, cursor, fields, lines: lines.slice(-limit) };
  } finally {
    await file.close();
  }
}

function placeOf(cursor: string): { readonly name: string; readonly offset: number } {
  const [, name = '', digits = ''] = /^([\w.]+):(\d{1,15})$/.exec(cursor) ?? [];
  if (!NAME.test(name)) throw new HttpError(400, 'after: must be the cursor of an earlier answer.');
  return { name, offset: Number(digits) };
}

/** Returns the lines of sessions in a part of a file, and the bytes up to the end of the last whole line. */
function linesOf(text: Buffer, whole: boolean, limit: number): { readonly lines: string[]; readonly bytes: number } {
  const lines: string[] = [];
  let at = whole ? 0 : text.indexOf('\n') + 1;
  for (let end = text.indexOf('\n', at); end !== -1 && lines.length < limit; end = text.indexOf('\n', at)) {
    const line = text.toString('utf8', at, end).trimEnd();
    if (line !== '' && !line.startsWith('#')) lines.push(line);
    at = end + 1;
  }
  return { lines, bytes: at };
}

function fieldsIn(head: Buffer): readonly string[] {
  const [, names = ''] = /^#Fields: (.*)$/m.exec(head.toString('latin1')) ?? [];
  return names.trim().split(/\s+/).filter(Boolean);
}

async function textAt(file: FileHandle, start: number, end: number): Promise<Buffer> {
  const buffer = Buffer.alloc(Math.max(0, end - start));
  let got = 0;
  while (got < buffer.length) {
    const { bytesRead } = await file.read(buffer, got, buffer.length - got, start + got);
    if (bytesRead === 0) break;
    got += bytesRead;
  }
  return buffer.subarray(0, got);
}

async function logNames(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => []);
  return names.filter((name) => NAME.test(name)).sort((a, b) => compareNames(b, a));
}

/** A day's first file has no number. */
function compareNames(a: string, b: string): number {
  const key = (name: string) => name.slice(0, -4).split('_').slice(1).map(Number);
  const [dayA = 0, countA = 0] = key(a);
  const [dayB = 0, countB = 0] = key(b);
  return dayA - dayB || countA - countB;
}

async function openLog(folder: string | undefined, name: string): Promise<FileHandle> {
  const missing = () => new HttpError(404, `There is no log ${name}.`);
  if (folder === undefined || !NAME.test(name)) throw missing();
  const file = await open(join(folder, name)).catch(() => {
    throw missing();
  });
  const stats = await file.stat();
  if (stats.isFile()) return file;
  await file.close();
  throw missing();
}
