import { describe, expect, test } from '@jest/globals';
import { NEVER, ignoreElements, timer } from 'rxjs';
import { LinkError } from '../../src/redis/link.js';
import { elements, malformedReply, replyTimeout } from '../../src/redis/reply.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

test('an array reply has its elements, any other reply has none', () => {
  expect(elements(['master', 0])).toEqual(['master', 0]);
  for (const reply of [null, undefined, 'OK', 1, {}]) expect(elements(reply)).toEqual([]);
});

test('a malformed reply ends the link and names the command', () => {
  expect(malformedReply('CLUSTER INFO')).toBeInstanceOf(LinkError);
  expect(malformedReply('CLUSTER INFO').message).toBe('malformed reply to CLUSTER INFO');
});

describe('the timeout of a reply', () => {
  /** How a command ends that is answered after a time, while bytes arrive until another time. */
  function outcome(answeredAtMs: number, bytesUntilMs: number): string {
    let ended = 'nothing';
    marbles((_, scheduler) => {
      const link = new ScriptedLink(scheduler);
      const reply$ = answeredAtMs === Infinity ? NEVER : timer(answeredAtMs, scheduler).pipe(ignoreElements());
      for (let ms = 50; ms <= bytesUntilMs; ms += 50) {
        timer(ms, scheduler).subscribe(() => {
          link.trickle();
        });
      }
      reply$.pipe(replyTimeout(link, 'ROLE', 100, virtualRuntime(scheduler))).subscribe({
        complete: () => (ended = `${scheduler.now()} complete`),
        error: ({ message }: Error) => (ended = `${scheduler.now()} ${message}`),
      });
    });
    return ended;
  }

  test('ends a command to which Redis does not reply', () => {
    expect(outcome(Infinity, 0)).toBe('100 ROLE was not answered within 100 ms');
  });

  test('begins again while bytes arrive, since the reply may come behind them', () => {
    expect(outcome(350, 300)).toBe('350 complete');
    expect(outcome(Infinity, 300)).toMatch(/^[34]00 ROLE was not answered within 100 ms$/);
  });
});
