import { describe, expect, test } from '@jest/globals';
import { NEVER, concat, of, throwError, type Observable } from 'rxjs';
import { silentLogger } from '../../src/runtime/log.js';
import { LinkError, type RedisLink } from '../../src/redis/link.js';
import { DemotedError } from '../../src/redis/liveness/master.js';
import { Sentinels } from '../../src/redis/sentinel.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

const MASTER = '10.0.0.1:6379';
const REFUSED = throwError(() => new LinkError('connect ECONNREFUSED'));

/** What comes of asking sentinels whether a server is the master: what they emit, and how they end. */
function agreement(server: string, link$: (link: ScriptedLink) => Observable<RedisLink>, answer: unknown): readonly unknown[] {
  const told: unknown[] = [];
  marbles((_, scheduler) => {
    const link = new ScriptedLink(scheduler);
    link.call = () => of(answer);
    const sentinels = new Sentinels({
      sentinels: ['s1:26379'],
      master: 'primary',
      address: { host: 'unused', port: 6379, tls: false },
      connect: () => link$(link),
      name: 'test:sentinel',
      timeoutMs: 100,
      runtime: virtualRuntime(scheduler),
      log: silentLogger,
    });
    const connected = sentinels.connected().subscribe();
    const agreed = sentinels.verify(server).subscribe({
      next: (value) => told.push(value),
      error: (error: unknown) => told.push(error),
      complete: () => told.push('complete'),
    });
    scheduler.schedule(() => {
      connected.unsubscribe();
      agreed.unsubscribe();
    }, 1000);
  });
  return told;
}

const reached = (link: ScriptedLink) => concat(of(link), NEVER);

describe('whether a server is the master', () => {
  test('is agreed by a sentinel that calls it so, and nothing else is said', () => {
    expect(agreement(MASTER, reached, ['10.0.0.1', '6379'])).toEqual(['complete']);
  });

  test('is denied by a sentinel that calls another so', () => {
    const [error] = agreement(MASTER, reached, ['10.0.0.2', '6379']);
    expect(error).toBeInstanceOf(DemotedError);
    expect(error).toMatchObject({ message: 'the master is 10.0.0.2:6379 now, not 10.0.0.1:6379' });
  });

  test('is not known where no sentinel answers, which proves nothing', () => {
    expect(agreement(MASTER, () => REFUSED, undefined)).toEqual(['unknown', 'complete']);
  });

  test('is not known where the sentinels know no such master', () => {
    expect(agreement(MASTER, reached, null)).toEqual(['unknown', 'complete']);
  });

  test.each([['OK'], [1], [[]], [['10.0.0.1']], [['10.0.0.1', 6379]], [['', '6379']], [['10.0.0.1', '0']], [[null, null]]])(
    'is not known from an answer of another form: %j',
    (answer) => {
      expect(agreement(MASTER, reached, answer)).toEqual(['unknown', 'complete']);
    },
  );
});
