import { basename } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { examine, fileOf, sources, type Source } from './support/sources.js';

const MAX_LINES = 400;

/** Where the outside runtime is touched; each with what it needs it for. Everything else in src is the pure core. */
const EDGES: ReadonlyMap<string, string> = new Map([
  ['main.ts', 'the process: its signals'],
  ['command.ts', 'the process: arguments, environment, output, its end'],
  ['server/server.ts', 'composition: listens and closes, which end later'],
  ['http/server.ts', 'HTTP servers'],
  ['runtime/descriptors.ts', 'the file descriptors of the process'],
  ['http/answer.ts', 'HTTP responses'],
  ['http/one-request.ts', 'the sockets of requests'],
  ['gateway/listeners.ts', 'servers that listen and close, which end later'],
  ['auth/verify.ts', 'jose and its promises'],
  ['auth/key-set.ts', 'keys that are fetched'],
  ['gateway/connections.ts', 'the sockets of upgrades'],
  ['gateway/websocket.ts', 'ws and its sockets'],
  ['redis/link.ts', 'ioredis and its promises'],
  ['runtime/node-runtime.ts', 'the clock, the event loop, ids and chance'],
  ['runtime/metrics.ts', 'prom-client'],
  ['runtime/log.ts', 'pino'],
  ['runtime/version.ts', 'package.json'],
  ['runtime/memory.ts', "V8's heap"],
  ['../simulation/simulate.ts', 'the command line of the simulation'],
  ['../simulation/simulation.ts', 'promises of simulated links, which have their turn between two events'],
  ['../simulation/play.ts', 'runs that end later'],
  ['../simulation/shrink.ts', 'runs that end later'],
  ['../simulation/redis-connection.ts', 'the promises of a link'],
  ['testing/brokerContract.ts', 'brokers as they are, in real time'],
  ['testing/broker-listener.ts', 'the same'],
]);

/** What builds on an edge's values and yet is pure itself: it says what is exported, or speaks to Redis through its link. */
const BUILT_ON_EDGES: ReadonlySet<string> = new Set([
  ...[
    'config/variables.ts',
    'index.ts',
    'redis/broker.ts',
    'redis/cluster/cluster-broker.ts',
    'redis/liveness/canary.ts',
    'redis/liveness/master.ts',
    'redis/node.ts',
    'redis/reply.ts',
  ],
  ...[
    'redis/publisher.ts',
    'redis/sentinel.ts',
    'redis/cluster/shard.ts',
    'redis/subscribe.ts',
    'redis/subscription.ts',
    'redis/liveness/query-connection.ts',
  ],
  ...['testing/index.ts', 'testing/report.ts', '../simulation/pod.ts'],
]);

/** All that may read the machine's clock; each with what it needs it for. Ages, intervals and durations go by the scheduler. */
const WALL_CLOCK_READERS: ReadonlyMap<string, string> = new Map([
  ['runtime/runtime.ts', 'its declaration'],
  ['runtime/node-runtime.ts', 'its source'],
  ['auth/verify.ts', '`exp` and `nbf`, which were signed'],
  ['connection/expiry.ts', '`exp`, which was signed'],
  ['connection/publisher.ts', 'the `timestamp` of what is published'],
  ['connection/send-buffer.ts', '`since` of a gap'],
  ['connection/transform.ts', '`since` of a gap'],
  ['hub/hub.ts', 'the delay since a `timestamp`, which is shown'],
  ['hub/server-message.ts', 'the `timestamp` of what the server says'],
  ['redis/liveness/clock-reading.ts', '`since` of a gap'],
  ['redis/liveness/announcements.ts', '`since` of a gap'],
  ['redis/publisher.ts', '`since` of a gap, as it is announced'],
  ['redis/cluster/cluster-broker.ts', '`since` of a gap, as it is announced'],
]);

/** Packages that neither tell the time nor throw dice nor do anything later; of uuid and of node:net only what is said below. */
const PURE_PACKAGES: readonly RegExp[] = [/^rxjs(\/testing)?$/, /^typebox(\/.*)?$/, /^uuid$/, /^node:buffer$/, /^node:net$/];

/** All that the core takes of packages that can do more than compute. */
const PURE_VALUES: ReadonlyMap<string, readonly string[]> = new Map([
  ['uuid', ['validate']],
  ['node:net', ['BlockList', 'isIP', 'isIPv4']],
]);

const FORBIDDEN_NAMES = ['types.ts', 'utils.ts', 'helpers.ts', 'interfaces.ts', 'common.ts'];

const core = sources.filter(({ path }) => !EDGES.has(path));

/** All files that running one file brings in, itself too. */
function reached(path: string, seen = new Set<string>()): ReadonlySet<string> {
  const source = sources.find((one) => one.path === path);
  if (source === undefined || seen.has(path)) return seen;
  seen.add(path);
  const files = source.imports.filter(({ values }) => values.length > 0).map((each) => fileOf(source, each));
  for (const file of files) if (file !== undefined) reached(file, seen);
  return seen;
}

/** Files, and what is wrong with them. */
function offences(among: readonly Source[], offence: (source: Source) => readonly string[]): readonly string[] {
  return among.flatMap((source) => offence(source).map((what) => `${source.path}: ${what}`));
}

function importersOf(name: string): readonly string[] {
  return sources
    .filter(({ imports }) => imports.some(({ from }) => from === name || from.startsWith(`${name}/`)))
    .map(({ path }) => path);
}

describe('this test itself', () => {
  test.each([
    ['Date.now', 'const t = Date.now();'],
    ['Date.now', 'const clock = Date.now;'],
    ['new Date()', 'const t = new Date();'],
    ['new Date()', 'const t = new Date;'],
    ['Date()', 'const t = Date();'],
    ['Math.random', 'const dice = () => Math.random();'],
    ['setTimeout', 'setTimeout(() => undefined, 1);'],
    ['setTimeout', 'const later = setTimeout;'],
    ['setInterval', 'setInterval(f, 1);'],
    ['setImmediate', 'setImmediate(f);'],
    ['queueMicrotask', 'queueMicrotask(f);'],
    ['globalThis', 'globalThis.setTimeout(f, 1);'],
    ['process', 'process.nextTick(f);'],
    ['.nextTick', 'clock.nextTick(f);'],
    ['Promise', 'const p = Promise.resolve();'],
    ['Promise', 'interface A { read(): Promise<void> }'],
    ['async', 'const f = async () => undefined;'],
    ['async', 'class A { async f() {} }'],
    ['await', 'const x = await y;'],
    ['await', 'for await (const x of y) f(x);'],
    ['.then', 'y.then(f);'],
    ['.then', 'y?.then(f);'],
    ['import()', "const m = import('./a.js');"],
    ['asyncScheduler', "import { asyncScheduler } from 'rxjs';"],
  ])('sees %s in: %s', (what, text) => {
    expect(examine('a.ts', text).impurities).toContain(what);
  });

  test.each([
    ['a comment', '// Date.now(), await, Promise'],
    ['a text', "const s = 'await new Date() setTimeout Promise';"],
    ['a given time', 'const t = new Date(5).toISOString();'],
    ['parsing', 'const t = Date.parse(s);'],
    ['a member that is called so', 'const a = { process: 1 }; f(a.process, b.crypto);'],
  ])('minds no %s', (_, text) => {
    expect(examine('a.ts', text).impurities).toEqual([]);
  });

  test.each<[text: string, values: readonly string[]]>([
    ["import type { A } from 'x';", []],
    ["import { type A } from 'x';", []],
    ["import { type A, b as c } from 'x';", ['b']],
    ["import d, { b } from 'x';", ['d', 'b']],
    ["import * as x from 'x';", ['*']],
    ["import 'x';", ['side effects']],
    ["export { b } from 'x';", ['b']],
    ["export type { A } from 'x';", []],
    ["export * from 'x';", ['*']],
  ])('reads %s', (text, values) => {
    expect(examine('a.ts', text).imports).toEqual([{ from: 'x', values }]);
  });

  test('has found the sources', () => {
    expect(sources.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['hub/hub.ts', 'handlers/built-in/chat.ts', 'operators/bufferTurn.ts']),
    );
  });
});

/** The folders of src from top to bottom: each may import those that stand after it. Files beside the folders may import all. */
const FOLDERS = [
  ...['testing', 'server', 'gateway', 'config', 'connection', 'dispatch', 'hub', 'redis', 'handlers', 'broker', 'auth', 'http'],
  ...['operators', 'runtime', 'protocol'],
];

/** The folder of src that a file is in; undefined beside the folders and in the simulation. */
function folderOf(path: string): string | undefined {
  return path.startsWith('..') ? undefined : path.split('/', 2).length === 2 ? path.slice(0, path.indexOf('/')) : undefined;
}

/** The files that a file imports, types too. */
function importedFiles(source: Source): readonly string[] {
  return source.imports.map((each) => fileOf(source, each)).filter((file) => file !== undefined);
}

/** A path from a file back to itself, or undefined. */
function circleOf(start: Source): readonly string[] | undefined {
  const byPath = new Map(sources.map((source) => [source.path, source]));
  const seen = new Set<string>();
  const search = (path: string, way: readonly string[]): readonly string[] | undefined => {
    const source = byPath.get(path);
    for (const next of source ? importedFiles(source) : []) {
      if (next === start.path) return [...way, next];
      if (seen.has(next)) continue;
      seen.add(next);
      const found = search(next, [...way, next]);
      if (found) return found;
    }
    return undefined;
  };
  return search(start.path, [start.path]);
}

describe('the folders', () => {
  test('are the ones that have a place in the order', () => {
    expect(new Set(sources.map(({ path }) => folderOf(path)).filter((folder) => folder !== undefined))).toEqual(new Set(FOLDERS));
  });

  test('import only from folders below their own', () => {
    const backwards = (source: Source) => {
      const folder = folderOf(source.path);
      if (folder === undefined) return [];
      const above = FOLDERS.slice(0, FOLDERS.indexOf(folder));
      return importedFiles(source).filter((file) => above.includes(folderOf(file) ?? 'testing'));
    };
    expect(offences(sources, backwards)).toEqual([]);
  });

  test('have no files that import each other in a circle', () => {
    expect(sources.map(circleOf).filter((circle) => circle !== undefined)).toEqual([]);
  });

  test('of the product know nothing of the simulation', () => {
    const own = sources.filter(({ path }) => !path.startsWith('..'));
    expect(offences(own, (source) => importedFiles(source).filter((file) => file.startsWith('..')))).toEqual([]);
  });
});

describe('the edges', () => {
  test('ws is imported by gateway/websocket.ts alone', () => {
    expect(importersOf('ws')).toEqual(['gateway/websocket.ts']);
  });

  test('ioredis is imported by redis/link.ts alone', () => {
    expect(importersOf('ioredis')).toEqual(['redis/link.ts']);
  });

  test('jose is imported by auth/verify.ts and auth/key-set.ts alone', () => {
    expect(new Set(importersOf('jose'))).toEqual(new Set(['auth/verify.ts', 'auth/key-set.ts']));
  });

  test.each([...EDGES])('%s is there and needs to be an edge, for %s', (path) => {
    const edge = sources.find((source) => source.path === path);
    const packages = edge?.imports.map(({ from }) => from).filter((from) => !from.startsWith('.')) ?? [];
    const foreign = packages.filter((from) => !PURE_PACKAGES.some((pure) => pure.test(from)));
    expect([...(edge?.impurities ?? []), ...foreign]).not.toEqual([]);
  });
});

describe('clocks', () => {
  const clock = (what: string) => ['Date.now', 'new Date()', 'Date()', 'performance'].includes(what);

  test('are read by runtime/node-runtime.ts alone, edges too: all others ask the Runtime', () => {
    const own = sources.filter(
      ({ path }) => path !== 'runtime/node-runtime.ts' && !path.startsWith('testing/') && !path.startsWith('../'),
    );
    expect(offences(own, ({ impurities }) => impurities.filter(clock))).toEqual([]);
  });

  test('of the machine are read only for times that are shown or were signed: an operator or NTP may set them', () => {
    const readers = sources.filter(
      ({ path, text }) => /\bwallMs\b/.test(text) && !path.startsWith('testing/') && !path.startsWith('../'),
    );
    expect(new Set(readers.map(({ path }) => path))).toEqual(new Set(WALL_CLOCK_READERS.keys()));
  });
});

describe('the pure core', () => {
  test('tells no time, throws no dice, starts no timer and promises nothing', () => {
    expect(offences(core, ({ impurities }) => impurities)).toEqual([]);
  });

  test('imports no package that could, and of Node’s nothing but bytes and addresses', () => {
    const foreign = ({ imports }: Source) =>
      imports.map(({ from }) => from).filter((from) => !from.startsWith('.') && !PURE_PACKAGES.some((pure) => pure.test(from)));
    expect(offences(core, foreign)).toEqual([]);
  });

  test.each([...PURE_VALUES])('takes of %s no more than %p: it makes no ids and opens no sockets', (name, pure) => {
    const others = ({ imports }: Source) =>
      imports.filter(({ from }) => from === name).flatMap(({ values }) => values.filter((value) => !pure.includes(value)));
    expect(offences(core, others)).toEqual([]);
  });

  test('knows the edges by their types alone', () => {
    const inner = core.filter(({ path }) => !BUILT_ON_EDGES.has(path));
    const edgesUsed = (source: Source) =>
      source.imports
        .filter(({ values }) => values.length > 0)
        .map((each) => fileOf(source, each))
        .filter((file): file is string => file !== undefined && EDGES.has(file));
    expect(offences(inner, edgesUsed)).toEqual([]);
  });
});

describe('the marble kit', () => {
  test('is no part of what runs in production', () => {
    expect([...reached('main.ts')].filter((path) => path.startsWith('testing/'))).toEqual([]);
    expect(importersOf('rxjs/testing').filter((path) => !path.startsWith('testing/') && !path.startsWith('../'))).toEqual([]);
  });

  test('needs no socket, no Redis and no test runner', () => {
    const files = reached('testing/index.ts');
    const kit = sources.filter(({ path }) => files.has(path));
    const packages = new Set(
      kit.flatMap(({ imports }) => imports.map(({ from }) => from).filter((from) => !from.startsWith('.'))),
    );
    expect(files.size).toBeGreaterThan(50);
    for (const foreign of ['ws', 'ioredis', 'node:http', 'jest', '@jest/globals']) expect(packages).not.toContain(foreign);
  });
});

describe('the sources', () => {
  test('protocol.ts imports nothing and uses nothing of Node’s, so that clients can share it', () => {
    const protocol = sources.find(({ path }) => path === 'protocol/protocol.ts');
    expect(protocol?.imports).toEqual([]);
    const nodes = ['Buffer', 'process', 'require', 'global', '__dirname', '__filename', 'NodeJS'];
    expect([...(protocol?.names ?? nodes)].filter((name) => nodes.includes(name))).toEqual([]);
  });

  test('types and functions live beside their owner: no file is called after what kind of thing is in it', () => {
    expect(sources.filter(({ path }) => FORBIDDEN_NAMES.includes(basename(path))).map(({ path }) => path)).toEqual([]);
  });

  test(`no file has more than ${MAX_LINES} lines`, () => {
    const tooLong = sources.filter(({ text }) => text.trimEnd().split('\n').length > MAX_LINES);
    expect(tooLong.map(({ path }) => path)).toEqual([]);
  });
});
