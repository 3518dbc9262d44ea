import { jest } from '@jest/globals';
import { stopAll } from './child.js';
import { removeFolders } from './content.js';

// More than any wait for a real program, whose failure says more. In ms.
jest.setTimeout(240_000);

// Whatever a file of tests starts and makes is gone at its end.
afterAll(async () => {
  await stopAll();
  removeFolders();
});
