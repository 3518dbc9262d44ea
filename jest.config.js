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
  // Most of the interop suite is waiting for media in real time, so one more than a small machine has cores; with many
  // more, players and encoders would starve each other.
  maxWorkers: 3,
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
