/** A file on the disk, identified by what stays the same if it is renamed. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

const growing = new Map<string, number>();

const nameOf = ({ dev, ino }: FileIdentity): string => `${dev}-${ino}`;

/**
 * Marks a file that this process is still writing, so that its players wait at its end. @returns a function to call
 * when writing has ended
 */
export function markGrowing(file: FileIdentity): () => void {
  const name = nameOf(file);
  growing.set(name, (growing.get(name) ?? 0) + 1);
  let isOver = false;
  return () => {
    if (isOver) return;
    isOver = true;
    const left = growing.get(name)! - 1;
    if (left === 0) growing.delete(name);
    else growing.set(name, left);
  };
}

/** True if the file is still being written. */
export function isGrowing(file: FileIdentity): boolean {
  return growing.has(nameOf(file));
}
