// Far from UTC, by half an hour too, so that local time where UTC is meant shows.
process.env.TZ = 'America/St_Johns';

const project = (name, testMatch, extra = {}) => ({
  displayName: name,
  testMatch,
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } },
    ],
  },
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  ...extra,
});

export default {
  // The interop suite starts real players and encoders; with more than one worker on a small machine they starve each other.
  maxWorkers: 2,
  reporters: ['default', '<rootDir>/test/support/tally.js'],
  projects: [
    project('unit', ['<rootDir>/test/**/*.test.ts'], {
      setupFilesAfterEnv: ['<rootDir>/test/support/unit-setup.ts'],
      testPathIgnorePatterns: ['/node_modules/', '<rootDir>/test/interop/'],
    }),
    project('interop', ['<rootDir>/test/interop/**/*.test.ts'], {
      setupFilesAfterEnv: ['<rootDir>/test/interop/support/setup.ts'],
    }),
  ],
};
