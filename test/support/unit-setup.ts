import { jest } from '@jest/globals';

// A time limit is for what hangs: a loaded machine takes many times longer than a fast one. In ms.
jest.setTimeout(30_000);
