import { afterEach, describe, expect, test } from '@jest/globals';
import { filter, ignoreElements, map, tap } from 'rxjs';
import Type from 'typebox';
import {
  ConfigError,
  builtInHandlers,
  createChatServer,
  handler,
  memoryBroker,
  nodeRuntime,
  publish,
  reject,
  reply,
  silentLogger,
  middleware,
  type Broker,
  type ChatServer,
  type ChatServerOptions,
} from '../../src/index.js';
import { Timeline, VirtualScheduler } from '../../src/testing/virtual-scheduler.js';
import { connect } from '../support/client.js';

const SETTINGS = { host: '127.0.0.1', port: 0, redisUrl: 'memory:', presenceMaxMembers: 0 };

const servers: ChatServer[] = [];

/** A server in this process that listens; and where. */
async function listening(options: ChatServerOptions = {}): Promise<number> {
  const server = createChatServer({ config: SETTINGS, logger: silentLogger, ...options });
  servers.push(server);
  return (await server.listen()).port;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** What /metrics says of those whose name begins so. */
async function scraped(port: number, name: string): Promise<string[]> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`);
  return (await response.text()).split('\n').filter((line) => line.startsWith(name));
}

const shout = handler(
  'shout',
  Type.Object({ words: Type.String() }),
  (message$, { count }) =>
    message$.pipe(
      tap(() => {
        count('shouted');
      }),
      map(({ id, data }) => publish({ type: 'shout', id, data: { words: data.words.toUpperCase() } })),
    ),
  { events: ['shouted'] },
);

describe('createChatServer', () => {
  test('serves the built-in message types where it is told of no others', async () => {
    const port = await listening();
    const [ada, ben] = await Promise.all([connect(port, '/ws/tea'), connect(port, '/ws/tea')]);
    ada.chat('hello');
    await Promise.all([ada.hearsChat('hello'), ben.hearsChat('hello')]);
    ada.send({ type: 'shout', data: { words: 'hey' } });
    await ada.hearsError('unknown_type');
  });

  test('takes another message type, which it counts by its name', async () => {
    const port = await listening({ handlers: [...builtInHandlers, shout] });
    const [ada, ben] = await Promise.all([connect(port, '/ws/tea'), connect(port, '/ws/tea')]);
    ada.send({ type: 'shout', data: { words: 'hey' } });
    expect((await ben.hearsType('shout')).data).toEqual({ words: 'HEY' });
    ada.send({ type: 'shout', id: 'x', data: { words: 1 } });
    expect((await ada.hearsError('invalid_message')).data).toEqual({
      code: 'invalid_message',
      message: 'data/words must be string',
      ref: 'x',
    });
    expect(await scraped(port, 'chat_messages_received_total{type="shout"}')).toEqual([
      'chat_messages_received_total{type="shout"} 1',
    ]);
    expect(await scraped(port, 'chat_handler_events_total{type="shout"')).toEqual([
      'chat_handler_events_total{type="shout",event="shouted"} 1',
    ]);
  });

  test('may be without the built-in ones', async () => {
    const port = await listening({ handlers: [shout] });
    const ada = await connect(port, '/ws/tea');
    ada.chat('hello');
    await ada.hearsError('unknown_type');
  });

  test('puts what goes around the handlers around them', async () => {
    const curfew = middleware('curfew', (message$) => message$.pipe(map(() => reject('forbidden', 'it is late'))));
    const port = await listening({ middleware: [curfew] });
    const ada = await connect(port, '/ws/tea');
    ada.chat('hello', { id: 'x' });
    expect((await ada.hearsError('forbidden')).data).toMatchObject({ message: 'it is late', ref: 'x' });
  });

  test('has connections hear as it is told', async () => {
    const port = await listening({ transform: () => filter(({ data }) => (data as { content: string }).content !== 'secret') });
    const ada = await connect(port, '/ws/tea');
    ada.chat('secret');
    ada.chat('hello');
    await ada.hearsChat('hello');
    expect(ada.heard.filter(({ type }) => type === 'chat')).toHaveLength(1);
  });

  test('publishes through the broker that it is given', async () => {
    const published: string[] = [];
    const inner = memoryBroker();
    const broker: Broker = {
      ...inner,
      publish: (room, payload) => {
        published.push(room);
        return inner.publish(room, payload);
      },
    };
    const ada = await connect(await listening({ broker }), '/ws/tea');
    ada.chat('hello');
    await ada.hearsChat('hello');
    expect(published).toEqual(['tea']);
  });

  test.each<[what: string, options: ChatServerOptions, line: string]>([
    ['a bad setting', { config: { port: -1 } }, 'PORT is "-1"; allowed: an integer from 0 to 65535'],
    [
      'two handlers of one type',
      { handlers: [...builtInHandlers, shout, shout] },
      'two handlers of type "shout"; allowed: one for each type',
    ],
    [
      'a type that only the server sends',
      { handlers: [handler('presence', Type.Unknown(), ignoreElements())] },
      'a handler of type "presence"; allowed: types that clients send',
    ],
    [
      'two wraps of one name',
      {
        middleware: [
          middleware('audit', (message$, handle) => message$.pipe(handle)),
          middleware('audit', (message$) => message$.pipe(ignoreElements())),
        ],
      },
      'two parts are called "audit"; allowed: a name of its own for each',
    ],
    [
      'a wrap called as a handler',
      { middleware: [middleware('chat', (message$, handle) => message$.pipe(handle))] },
      'two parts are called "chat"; allowed: a name of its own for each',
    ],
    [
      'a type without a name',
      { handlers: [handler('', Type.Unknown(), ignoreElements())] },
      'a handler of type ""; allowed: types that clients send',
    ],
  ])('refuses %s', (_, options, line) => {
    expect(() => createChatServer({ config: SETTINGS, logger: silentLogger, ...options })).toThrow(new ConfigError(line));
  });
});

test('a handler that blocks the event loop shows in /metrics', async () => {
  const blocking = handler('block', Type.Unknown(), (message$, { scheduler }) =>
    message$.pipe(
      map(() => {
        const untilMs = scheduler.now() + 200;
        while (scheduler.now() < untilMs);
        return reply({ type: 'done', data: {} });
      }),
    ),
  );
  const port = await listening({ handlers: [blocking] });
  const ada = await connect(port, '/ws/tea');
  await scraped(port, 'nodejs');
  // A scrape begins the measurement anew, from the loop's next turn on: only the second is sure to be within it.
  for (const nth of [1, 2]) {
    ada.send({ type: 'block' });
    await ada.hearsMany(nth, ({ type }) => type === 'done');
  }
  const [line = ''] = await scraped(port, 'nodejs_eventloop_lag_max_seconds');
  expect(Number(line.split(' ')[1])).toBeGreaterThan(0.1);
});

test('during a drain’s delay who leaves by itself is told, and after it nobody is', async () => {
  const told: unknown[] = [];
  const inner = memoryBroker();
  const broker: Broker = {
    ...inner,
    publish: (room, payload) => {
      const { type, data } = JSON.parse(payload) as { type: string; data: { status: string; clientId: string } };
      if (type === 'presence' && data.status === 'offline') told.push(data.clientId);
      return inner.publish(room, payload);
    },
  };
  // Timers go off when the test says so; all else is real.
  const scheduler = new VirtualScheduler(0);
  const runtime = { ...nodeRuntime, scheduler: new Timeline(scheduler) };
  const pass = (ms: number) => {
    const untilMs = scheduler.now() + ms;
    while (scheduler.step(untilMs));
    scheduler.pass(untilMs);
  };
  const config = { ...SETTINGS, presenceMaxMembers: 100, shutdownDelayMs: 60_000 };
  const server = createChatServer({ config, logger: silentLogger, broker, runtime });
  const { port } = await server.listen();
  const [ada, ben] = await Promise.all([connect(port, '/ws/tea'), connect(port, '/ws/tea')]);
  const closed = server.close();
  const { clientId } = (await ben.hearsEvent('welcome')).data;
  await ben.close();
  await ada.hears(({ type, data }) => type === 'presence' && data['status'] === 'offline');
  expect(told).toEqual([clientId]);
  pass(60_000);
  await ada.hearsEvent('shutdown');
  pass(10_000);
  expect((await ada.closed).code).toBe(1001);
  await closed;
  expect(told).toEqual([clientId]);
});
