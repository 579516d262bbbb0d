import { describe, expect, test } from '@jest/globals';
import { NEVER, concat, merge, of, throwError, timer } from 'rxjs';
import type { RedisAddress } from '../../../src/redis/address.js';
import { LinkError } from '../../../src/redis/link.js';
import { QueryConnection } from '../../../src/redis/liveness/query-connection.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';
import { ScriptedLink } from '../../support/redis-link.js';

/** Servers to connect to: the error of connecting to one, or undefined if it works; and what a client sees. */
function connections(errorOf: (address: RedisAddress) => string | undefined, sessionMs = Infinity) {
  const seen = { attempts: [] as string[], states: [] as string[], warnings: [] as string[], attempted: [] as string[] };
  marbles((_, scheduler) => {
    const connection = new QueryConnection({
      address: { host: 'unused', port: 1, username: 'chat', password: 'secret', tls: false },
      connect: ({ address }) => {
        seen.attempts.push(`${address.host} ${address.username ?? 'without a login'}`);
        const error = errorOf(address);
        return error === undefined ? concat(of(new ScriptedLink(scheduler)), NEVER) : throwError(() => new LinkError(error));
      },
      name: 'test:sentinel',
      servers: () => ['a:1', 'b:1'],
      runtime: { ...virtualRuntime(scheduler), random: () => 0.5 },
      log: Object.assign(Object.create(silentLogger) as typeof silentLogger, {
        warn: ({ reason }: { reason?: string }) => seen.warnings.push(String(reason)),
      }),
    });
    const describeState = (state: { server: string } | { reason: string }) => ('server' in state ? state.server : state.reason);
    connection.state$.subscribe((state) => seen.states.push(describeState(state)));
    connection.attempted$.subscribe({
      next: (state) => seen.attempted.push(describeState(state)),
      complete: () => seen.attempted.push('complete'),
    });
    const ended$ = timer(sessionMs, scheduler);
    const session = () =>
      sessionMs === Infinity
        ? NEVER
        : merge(
            concat(
              ended$,
              throwError(() => new LinkError('no answer')),
            ),
          );
    const subscription = connection.connected(session).subscribe();
    timer(1000, scheduler).subscribe(() => {
      subscription.unsubscribe();
    });
  });
  return seen;
}

describe('a query connection', () => {
  test('stays at the first server that works', () => {
    const { attempts, states, attempted } = connections(() => undefined);
    expect(attempts).toEqual(['a chat']);
    expect(states).toEqual(['not connected yet', 'a:1']);
    expect(attempted).toEqual(['a:1', 'complete']);
  });

  test('goes to the next server if one cannot be connected to', () => {
    const { attempts, states, warnings } = connections(({ host }) => (host === 'a' ? 'ECONNREFUSED' : undefined));
    expect(attempts).toEqual(['a chat', 'b chat']);
    expect(states).toEqual(['not connected yet', 'a:1: ECONNREFUSED', 'b:1']);
    expect(warnings).toEqual(['a:1: ECONNREFUSED']);
  });

  test('goes to the next server if the session at one ends', () => {
    const { attempts } = connections(() => undefined, 200);
    expect(attempts).toEqual(['a chat', 'b chat', 'a chat']);
  });

  test('tries a server without the login once if it does not know the user', () => {
    const { attempts } = connections(({ username }) => (username === undefined ? undefined : 'WRONGPASS no such user'));
    expect(attempts).toEqual(['a chat', 'a without a login']);
  });

  test('logs in again at the next server if the first refuses both', () => {
    const { attempts } = connections(({ host }) => (host === 'a' ? 'WRONGPASS no such user' : undefined));
    expect(attempts).toEqual(['a chat', 'a without a login', 'b chat']);
  });
});
