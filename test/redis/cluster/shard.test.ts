import { describe, expect, test } from '@jest/globals';
import { NEVER, concat, of, timer } from 'rxjs';
import { roomChannels } from '../../../src/redis/channels.js';
import { createShard, type Shard } from '../../../src/redis/cluster/shard.js';
import { SlotTable, slotOf } from '../../../src/redis/cluster/slots.js';
import { silentLogger } from '../../../src/runtime/log.js';
import { noMetrics } from '../../../src/runtime/metrics.js';
import { marbles, virtualRuntime } from '../../support/marbles.js';
import { ScriptedLink } from '../../support/redis-link.js';

const SERVER = '10.0.0.1:6379';

/** Runs a shard that owns the slots up to `lastSlot`, whose server replies `info` to CLUSTER INFO, and looks at it after a second. */
function shardAfterASecond(
  info: string,
  lastSlot: number,
  look: (shard: Shard, link: ScriptedLink) => void,
  rooms: readonly string[] = [],
): void {
  marbles((_, scheduler) => {
    const link = new ScriptedLink(scheduler);
    const role = link.call.bind(link);
    link.call = (command) => (command === 'CLUSTER' ? of(info) : role(command));
    const shard = createShard({
      server: SERVER,
      address: { host: 'unused', port: 6379, tls: false },
      connect: () => concat(of(link), NEVER),
      channelPrefix: 'test',
      timeoutMs: 100,
      runtime: virtualRuntime(scheduler),
      metrics: noMetrics,
      log: silentLogger,
      channels: roomChannels('test'),
      table: () => new SlotTable([{ first: 0, last: lastSlot, server: SERVER }]),
      ownerConfirmedAt: () => ({ ms: 0, wallMs: 0 }),
      redirected: () => false,
    });
    for (const room of rooms) shard.connection.add(shard.node.subscription.subscribe(room).subscribe());
    shard.connection.add(shard.node.events$.subscribe());
    timer(1000, scheduler).subscribe(() => {
      look(shard, link);
      shard.connection.unsubscribe();
    });
  });
}

const OK = 'cluster_state:ok\r\ncluster_slots_assigned:16384\r\ncluster_slots_fail:0\r\n';

describe('a shard', () => {
  test('is up when its node is and the cluster is ok', () => {
    expect.assertions(2);
    shardAfterASecond(OK, 16_383, (shard) => {
      expect(shard.status).toEqual({ up: true });
      expect(shard.isCutOff).toBe(false);
    });
  });

  test('is down and cut off when its server has no majority', () => {
    expect.assertions(2);
    shardAfterASecond(OK.replace('state:ok', 'state:fail'), 16_383, (shard) => {
      expect(shard.status).toEqual({ up: false, reason: `cluster: ${SERVER} says that the cluster is down` });
      expect(shard.isCutOff).toBe(true);
    });
  });

  test('sends its canaries through a channel whose slot its server owns', () => {
    expect.assertions(2);
    shardAfterASecond(OK, 99, (_, link) => {
      const channels = [...link.channels()].filter((channel) => channel.startsWith('test:canary:'));
      expect(channels).toHaveLength(1);
      expect(channels.every((channel) => slotOf(channel) <= 99)).toBe(true);
    });
  });

  test('subscribes to channels of one slot with one command, and to those of another with another', () => {
    expect.assertions(1);
    const subscribed = (_: Shard, { asked }: ScriptedLink) => {
      const commands = asked.filter((command) => command.includes('SUBSCRIBE test:room:'));
      expect(commands.map((command) => command.slice(command.indexOf('test:')))).toEqual([
        'test:room:{a}1 test:room:{a}2',
        'test:room:b',
      ]);
    };
    shardAfterASecond(OK, 16_383, subscribed, ['{a}1', 'b', '{a}2']);
  });
});
