export default {
  testEnvironment: 'node',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  extensionsToTreatAsEsm: ['.ts'],
  transform: {
    '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }],
  },
  // Sources import `./x.js`, which is what they are called once compiled.
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  // It has a package.json and a build of its own, which are nobody's module here.
  modulePathIgnorePatterns: ['<rootDir>/bench/'],
  testTimeout: 30_000,
  // Integration tests wait more than they work; by default Jest would leave one of two cores idle.
  maxWorkers: 2,
};
