/** Calls many tasks from one timer. */
export class Ticker {
  constructor(_interval = 50) {}

  add(_task: () => void): void {}

  delete(_task: () => void): void {}
}
