import { jest } from '@jest/globals';
import { slowness } from '../../support/patience.js';
import { stopAll } from './child.js';
import { removeFolders } from './content.js';

// In ms. More than any wait for a real program, whose failure says more.
jest.setTimeout(240_000 * slowness());

// Everything that a test file starts and makes is gone at its end.
afterAll(async () => {
  await stopAll();
  removeFolders();
});
