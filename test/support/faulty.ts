import { map, scan } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import Type from 'typebox';
import { reply } from '../../src/handlers/effect.js';
import { handler, type Handler } from '../../src/handlers/handler.js';
import { builtInHandlers } from '../../src/handlers/built-in/index.js';
import { silentLogger, type Logger } from '../../src/runtime/log.js';
import type { PodParts } from '../../src/server/pod.js';
import type { ConnectionContext } from '../../src/connection/context.js';
import { inRooms, virtualPod } from './pod.js';

/** Counts what it is sent, and fails at what it is told to. */
export function faulty(made: (nowMs: number) => void = () => undefined): Handler {
  return handler('faulty', Type.String(), (message$, { scheduler }) => {
    made(scheduler.now());
    return message$.pipe(
      map(({ data }) => {
        if (data === 'fail') throw new Error('a bug');
        return data;
      }),
      scan((count) => count + 1, 0),
      map((count) => reply({ type: 'count', data: { content: String(count) } })),
    );
  });
}

/** A handler of type `x`. */
export function x(operate: Parameters<typeof handler>[2]): Handler {
  return handler('x', Type.Unknown(), operate);
}

/** Ada's connection, in the tea room of a pod that has these message types too. */
export function ada(scheduler: TestScheduler, handlers: readonly Handler[], parts: Partial<PodParts> = {}): ConnectionContext {
  return inRooms(virtualPod(scheduler, { handlers: [...builtInHandlers, ...handlers], ...parts }), 'ada', ['tea']);
}

/** A log of which a test reads the errors. */
export function errorLog() {
  const lines: object[] = [];
  const log: Logger = {
    ...silentLogger,
    error: (details: object | string) => {
      lines.push(typeof details === 'object' ? { ...details, err: String((details as { err?: unknown }).err) } : { details });
    },
    child: () => log,
  };
  return { lines, log };
}
