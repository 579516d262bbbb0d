import { describe, expect, test } from '@jest/globals';
import { ignoreElements, timer } from 'rxjs';
import { scene, type Scene } from '../support/redis-subscription.js';

describe('channels without access for the Redis user', () => {
  /** Lets Redis refuse every SUBSCRIBE with one of the channels. */
  function refusing(it: Scene, ...channels: readonly string[]): void {
    it.link.refused = new Set(channels);
  }

  const ROOMS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

  test('refuse their rooms and no others, and are logged', () => {
    scene((it) => {
      refusing(it, 'test:room:c', 'test:room:h');
      it.start();
      it.at(100, () => {
        for (const room of ROOMS) it.join(room);
      });
      const log = it.until(200).filter((line) => /confirmed|refused/.test(line));
      expect(log.map((line) => line.slice(line.indexOf(' ') + 1)).sort()).toEqual([
        'a confirmed',
        'b confirmed',
        'c refused',
        'd confirmed',
        'e confirmed',
        'f confirmed',
        'g confirmed',
        'h refused',
      ]);
      expect(it.warned).toEqual(['test:room:c', 'test:room:h']);
      expect(it.log.filter((line) => line.includes('ended'))).toEqual([]);
    });
  });

  test('are found with two commands for each halving of the batch', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.start();
      it.at(100, () => {
        for (const room of ROOMS) it.join(room);
      });
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes(' SUBSCRIBE test:room')).length).toBe(7);
    });
  });

  test('are found at the start of a session, too, which is up without them', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      for (const room of ROOMS) it.join(room);
      it.start();
      const log = it.until(200);
      expect(log.filter((line) => line.endsWith(' confirmed')).length).toBe(7);
      expect(log.filter((line) => line.endsWith('c refused')).length).toBe(1);
      expect(log.at(-1)).toMatch(/up$/);
    });
  });

  test('are requested one half after the other, so that a session that ends leaves no command behind', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:room:h');
      for (const room of ROOMS) it.join(room);
      it.start();
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes('SUBSCRIBE test:room'))).toEqual([]);
      expect(it.log.at(-1)).toContain('ended: channel test:canary:pod');
    });
  });

  test('are not requested by the next session', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.join('c');
      const session = it.start();
      it.at(100, () => {
        it.link.asked.splice(0);
        session.unsubscribe();
        it.start();
      });
      it.until(200);
      expect(it.link.asked[0]).toBe('100 SUBSCRIBE test:canary:pod test:misplaced');
    });
  });

  test.each(['test:canary:pod', 'test:misplaced', 'test:global'])(
    'end the session and refuse no room if one is the pod’s own: %s',
    (channel) => {
      scene((it) => {
        refusing(it, channel);
        it.join('');
        it.join('tea');
        it.start();
        const log = it.until(200);
        expect(log.at(-1)).toContain(`ended: channel ${channel}: NOPERM`);
        expect(log.filter((line) => line.includes('refused'))).toEqual([]);
        expect(it.warned).toEqual([]);
      });
    },
  );

  test('end the session and refuse no room if the user has no access to any channel', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:misplaced', 'test:global', 'test:room:tea', 'test:room:milk');
      for (const room of ['', 'tea', 'milk']) it.join(room);
      it.start();
      const log = it.until(200);
      expect(log.at(-1)).toContain('ended: channel test:canary:pod: NOPERM');
      expect(log.filter((line) => line.includes('refused'))).toEqual([]);
    });
  });

  test('end the session and refuse no room if there is no access at all, though rooms are requested first', () => {
    scene((it) => {
      refusing(it, 'test:canary:pod', 'test:misplaced', 'test:room:tea');
      it.batches = (channels) => channels.map((channel) => [channel]).reverse();
      it.join('tea');
      it.start();
      const log = it.until(200);
      expect(log.at(-1)).toContain('NOPERM');
      expect(log.filter((line) => line.includes('refused'))).toEqual([]);
    });
  });

  test('do not matter to a room that was left before the reply', () => {
    scene((it) => {
      refusing(it, 'test:room:c');
      it.start();
      it.at(100, () => {
        const c = it.join('c');
        it.at(1, () => {
          c.unsubscribe();
        });
        it.link.outcome = () => timer(10, it.scheduler).pipe(ignoreElements());
      });
      expect(it.until(200).filter((line) => line.includes(' c '))).toEqual([]);
      expect(it.warned).toEqual([]);
    });
  });

  test.each(['NOPERM this user has no permissions to run the command', 'ERR unknown command', 'LOADING Redis is loading'])(
    'end the session if the error reply is another: %s',
    (reason) => {
      scene((it) => {
        refusing(it, 'test:room:c');
        it.link.refusal = reason;
        it.join('c');
        it.start();
        const log = it.until(200);
        expect(log.at(-1)).toContain(`ended: ${reason}`);
        expect(log.filter((line) => line.includes('refused'))).toEqual([]);
      });
    },
  );
});
