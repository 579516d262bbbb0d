import { describe, expect, test } from '@jest/globals';
import { EMPTY, NEVER, map, throwError, timer, type Observable } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError } from '../../../src/broker/broker.js';
import { RefusedError } from '../../../src/redis/link.js';
import { Canary, LostCanaryError } from '../../../src/redis/liveness/canary.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';
import { ScriptedLink } from '../../support/redis-link.js';

interface Sending {
  readonly canary: Canary;
  readonly link: ScriptedLink;
  readonly scheduler: TestScheduler;
  /** The payloads that were published. */
  readonly published: readonly string[];
}

/** How the first canary ends, as `{ms} {result}`, and the error. */
function sent(
  play: (sending: Sending) => void,
  publish: () => Observable<never> = () => EMPTY,
): { readonly result: string; readonly error: unknown } {
  const end: { result: string; error: unknown } = { result: 'nothing', error: undefined };
  marbles((_, scheduler) => {
    const published: string[] = [];
    const canary = new Canary({
      channel: () => 'test:canary:pod',
      publish: (_channel, payload) => {
        published.push(payload);
        return publish();
      },
      timeoutMs: 100,
      time: virtualRuntime(scheduler),
    });
    const link = new ScriptedLink(scheduler);
    play({ canary, link, scheduler, published });
    const subscription = canary.send(link).subscribe({
      complete: () => (end.result = `${scheduler.now()} came back`),
      error: (error: unknown) => {
        Object.assign(end, { result: `${scheduler.now()} ${String(error)}`, error });
      },
    });
    timer(2000, scheduler).subscribe(() => {
      subscription.unsubscribe();
    });
  });
  return end;
}

/** Delivers a payload at a time. */
function deliver({ canary, scheduler }: Sending, ms: number, payload: string): void {
  timer(ms, scheduler).subscribe(() => {
    canary.received(Buffer.from(payload));
  });
}

describe('a canary', () => {
  test('has come back when its own payload arrives', () => {
    const { result } = sent((it) => {
      deliver(it, 20, 'another');
      deliver(it, 30, '1');
    });
    expect(result).toBe('30 came back');
  });

  test('is lost if a later reply of the server has come and the canary has not', () => {
    const { result, error } = sent(() => undefined);
    expect(error).toBeInstanceOf(LostCanaryError);
    expect(result).toBe('101 Error: a canary was accepted and did not arrive within 100 ms');
  });

  test('is lost after an error reply, too', () => {
    const { error } = sent(({ link, scheduler }) => {
      link.outcome = () =>
        timer(1, scheduler).pipe(
          map(() => {
            link.trickle();
            throw new RefusedError('NOPERM');
          }),
        );
    });
    expect(error).toBeInstanceOf(LostCanaryError);
  });

  test('that is not lost for certain shows that the link is dead or too slow', () => {
    const { result, error } = sent(({ link }) => (link.outcome = () => NEVER));
    expect(error).not.toBeInstanceOf(LostCanaryError);
    expect(result).toMatch(/^100 .*did not come through within 100 ms/);
  });

  test('fails with the error of its publish', () => {
    const { error } = sent(
      () => undefined,
      () => throwError(() => new PublishError('unavailable', 'OOM')),
    );
    expect(error).toMatchObject({ code: 'unavailable', message: 'OOM' });
  });
});
