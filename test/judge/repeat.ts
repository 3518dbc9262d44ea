/** Sessions that run side by side: most of each is waiting, but a busy machine must not be late for all of them. */
const SIDE_BY_SIDE = 20;
/** Sessions that are run once more, one at a time, because the machine may have been too busy for the first. */
const REPEATS = 2;

/**
 * Runs a session for each row, and once more where something is missing.
 *
 * @param run one session
 * @param isWhole true if the result is as it should be
 */
export async function runEach<Row, Result>(
  rows: readonly Row[],
  run: (row: Row) => Promise<Result>,
  isWhole: (result: Result) => boolean,
): Promise<Result[]> {
  const results = new Array<Result>(rows.length);
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < rows.length; index = next++) results[index] = await run(rows[index]!);
  };
  await Promise.all(Array.from({ length: SIDE_BY_SIDE }, worker));
  for (let repeat = 0; repeat < REPEATS; repeat++) {
    for (const [index, row] of rows.entries()) if (!isWhole(results[index]!)) results[index] = await run(row);
  }
  return results;
}
