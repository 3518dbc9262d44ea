import { jest } from '@jest/globals';
import { slowness } from './patience.js';

// In ms. A time limit is for tests that hang: a loaded machine takes many times longer than a fast one.
jest.setTimeout(30_000 * slowness());
