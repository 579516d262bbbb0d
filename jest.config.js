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
  // It has a package.json and a build of its own, which are nobody's module here.
  modulePathIgnorePatterns: ['<rootDir>/bench/', '<rootDir>/simulation/.build/'],
  // A test that hangs is to end, and one on a machine that does other work as well is not.
  testTimeout: 60_000,
  // Integration tests wait more than they work; by default Jest would leave one of two cores idle.
  maxWorkers: 2,
};
