import { jest } from '@jest/globals';

// More than any wait for a real program, whose failure says more. In ms.
jest.setTimeout(240_000);
