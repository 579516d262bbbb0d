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

/** What verifying a server emits, and how it ends. */
function verified(server: string, link$: (link: ScriptedLink) => Observable<RedisLink>, answer: unknown): readonly unknown[] {
  const seen: unknown[] = [];
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
    const verifying = sentinels.verify(server).subscribe({
      next: (value) => seen.push(value),
      error: (error: unknown) => seen.push(error),
      complete: () => seen.push('complete'),
    });
    scheduler.schedule(() => {
      connected.unsubscribe();
      verifying.unsubscribe();
    }, 1000);
  });
  return seen;
}

const reached = (link: ScriptedLink) => concat(of(link), NEVER);

describe('a server', () => {
  test('is verified if the sentinel names it as the master', () => {
    expect(verified(MASTER, reached, ['10.0.0.1', '6379'])).toEqual(['complete']);
  });

  test('is demoted if the sentinel names another', () => {
    const [error] = verified(MASTER, reached, ['10.0.0.2', '6379']);
    expect(error).toBeInstanceOf(DemotedError);
    expect(error).toMatchObject({ message: 'the master is 10.0.0.2:6379 now, not 10.0.0.1:6379' });
  });

  test('may be the master or not if no sentinel answers', () => {
    expect(verified(MASTER, () => REFUSED, undefined)).toEqual(['unknown', 'complete']);
  });

  test('may be the master or not if the sentinels do not know the name', () => {
    expect(verified(MASTER, reached, null)).toEqual(['unknown', 'complete']);
  });

  test.each([['OK'], [1], [[]], [['10.0.0.1']], [['10.0.0.1', 6379]], [['', '6379']], [['10.0.0.1', '0']], [[null, null]]])(
    'may be the master or not after a malformed reply: %j',
    (answer) => {
      expect(verified(MASTER, reached, answer)).toEqual(['unknown', 'complete']);
    },
  );
});
