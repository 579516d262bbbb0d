// The service as somebody builds it who adds message types of their own, each of them with a bug.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { finalize, from, map, mergeMap, throwError } from 'rxjs';
import Type from 'typebox';
import { builtInHandlers, createChatServer, handler, readConfig, reply } from '../../dist/index.js';

const BUG = 'a bug';

const operators = {
  throws: map(() => {
    throw new Error(BUG);
  }),
  errors: mergeMap(() => throwError(() => new Error(BUG))),
  rejects: mergeMap(() => from(Promise.reject(new Error(BUG)))),
  'rejects later': mergeMap(async () => {
    await nextTurn();
    throw new Error(BUG);
  }),
  'ends badly': finalize(() => {
    throw new Error(BUG);
  }),
  'answers what cannot be written': map(() => reply({ type: 'big', data: 1n })),
  'publishes what cannot be written': map((message) => ({ kind: 'publish', message: { ...message, data: 1n } })),
};

const makers = {
  'is not made': () => {
    throw new Error(BUG);
  },
  'is no stream': () => undefined,
  ...Object.fromEntries(Object.entries(operators).map(([type, operator]) => [type, (message$) => message$.pipe(operator)])),
};

const server = createChatServer({
  config: readConfig(process.env),
  handlers: [...builtInHandlers, ...Object.entries(makers).map(([type, make]) => handler(type, Type.Unknown(), make))],
});
await server.listen();
