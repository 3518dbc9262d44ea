/** A file on the disk, by what stays the same when it is renamed. */
export interface FileIdentity {
  readonly dev: number;
  readonly ino: number;
}

const growing = new Map<string, number>();

const nameOf = ({ dev, ino }: FileIdentity): string => `${dev}-${ino}`;

/** Says that this process goes on writing a file, so that its players wait at its end. @returns to be called when it has ended */
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

/** Whether more comes to a file. */
export function isGrowing(file: FileIdentity): boolean {
  return growing.has(nameOf(file));
}
