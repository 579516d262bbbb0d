import { describe, expect, test } from '@jest/globals';
import { NEVER, concat, defer, of, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { roomChannels } from '../../src/redis/channels.js';
import type { RedisLink } from '../../src/redis/link.js';
import { isMaster$ } from '../../src/redis/liveness/master.js';
import { redisNode, type RedisNode } from '../../src/redis/node.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { marbles, virtualRuntime } from '../support/marbles.js';
import { ScriptedLink } from '../support/redis-link.js';

interface Running {
  readonly node: RedisNode;
  readonly link: ScriptedLink;
  readonly scheduler: TestScheduler;
}

/** Runs a node whose two connections are one link, for 5 s. Returns its statuses and the commands that were sent. */
function run(play: (running: Running) => void) {
  const seen = { statuses: [] as string[], asked: [] as readonly string[] };
  marbles((_, scheduler) => {
    const runtime = virtualRuntime(scheduler);
    const link = new ScriptedLink(scheduler);
    const channels = roomChannels('test');
    const node = redisNode({
      suffix: ' 10.0.0.1:6379',
      link$: () => defer(() => concat(of<RedisLink>(link), NEVER)),
      verify: (one) => isMaster$(one, 100, runtime),
      channels,
      canaryChannel: () => 'test:canary:pod',
      timeoutMs: 100,
      runtime,
      metrics: noMetrics,
      log: silentLogger,
      batches: (all) => [all],
      isElsewhere: () => false,
      announce: { channel: channels.announcements, serverOf: () => 'here' },
    });
    node.status$.subscribe((status) => {
      expect(status).toEqual(node.status);
      seen.statuses.push(`${scheduler.now()} ${status.up ? 'up' : status.reason}`);
    });
    const subscription = node.events$.subscribe();
    play({ node, link, scheduler });
    timer(5000, scheduler).subscribe(() => {
      subscription.unsubscribe();
      seen.asked = link.asked;
    });
  });
  return seen;
}

describe('a node', () => {
  test('is up when the publisher is connected and the subscription is healthy', () => {
    const { statuses } = run(() => undefined);
    expect(statuses[0]).toBe('0 publisher: not connected yet');
    expect(statuses.at(-1)).toMatch(/^\d+ up$/);
  });

  test('names the connection and the server in the reason why it is down', () => {
    const { statuses } = run(({ link, scheduler }) => {
      timer(2000, scheduler).subscribe(() => (link.role = 'slave'));
    });
    expect(statuses.at(-1)).toMatch(/^\d+ (publisher|subscription) 10\.0\.0\.1:6379: the server is a slave, not a master$/);
  });

  test('publishes again, and announces publishes in doubt, after its server was not a master for a while', () => {
    const { statuses, asked } = run(({ node, link, scheduler }) => {
      timer(1600, scheduler).subscribe(() => {
        node.publisher.publish('test:room:tea', 'hello').subscribe();
        link.role = 'slave';
      });
      timer(3500, scheduler).subscribe(() => (link.role = 'master'));
    });
    expect(statuses.at(-1)).toMatch(/^\d+ up$/);
    expect(asked.filter((command) => command.includes('PUBLISH test:misplaced 2 '))).not.toEqual([]);
  });
});
