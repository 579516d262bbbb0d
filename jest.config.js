export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/{test,examples}/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }],
  },
  moduleNameMapper: {
    // Sources import `./x.js`, which is what they are called once compiled.
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // Examples import what a package would.
    '^chat-api$': '<rootDir>/src/index.ts',
    '^chat-api/testing$': '<rootDir>/src/testing/index.ts',
  },
  // Each has a build of its own, and the benchmark a package.json too: Jest must not take them for modules of the tests.
  modulePathIgnorePatterns: ['<rootDir>/bench/', '<rootDir>/simulation/.build/'],
  // Tests wait for events. This only ends a test that hangs: it must be longer than any takes on a machine with other work.
  testTimeout: 600_000,
  // Integration tests wait more than they work; by default Jest would leave one of two cores idle.
  maxWorkers: 2,
  // `npm run coverage`: of the unit tests, since the built service runs in processes of its own.
  collectCoverageFrom: ['src/**/*.ts'],
};
