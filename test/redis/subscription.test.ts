import { describe, expect, test } from '@jest/globals';
import { NEVER, ignoreElements, interval, takeWhile, timer } from 'rxjs';
import { replyOf, scene, type Scene } from '../support/redis-subscription.js';

describe('a session', () => {
  test('subscribes to all rooms and to its own channels, and is up when a canary has come back', () => {
    scene((it) => {
      it.join('tea');
      it.start();
      expect(it.until(100)).toEqual([
        '0 down: subscription: not connected yet',
        '1 tea confirmed',
        '1 down: subscription: not checked yet',
        '2 up',
      ]);
      expect(it.link.asked).toEqual([
        '0 SUBSCRIBE test:canary:pod test:misplaced test:room:tea',
        '1 PUBLISH test:canary:pod 1',
        '1 ROLE',
      ]);
    });
  });

  test('sends a canary and ROLE every 1.5 s', () => {
    scene((it) => {
      it.start();
      it.until(6500);
      expect(it.canaries.map((one) => one.split(' ')[0])).toEqual(['1', '1501', '3001', '4501', '6001']);
      expect(it.link.asked.filter((one) => one.endsWith('ROLE')).map((one) => one.split(' ')[0])).toEqual(
        it.canaries.map((one) => one.split(' ')[0]),
      );
      expect(it.log.at(-1)).toBe('2 up');
    });
  });

  test('ends when a canary was accepted and does not arrive in time', () => {
    scene((it) => {
      it.start();
      it.at(1000, () => (it.link.echoes = false));
      expect(it.until(4000).at(-1)).toBe('1803 ended: a canary was accepted and did not arrive within 300 ms');
    });
  });

  /** From 1000 ms on no canary arrives. Messages do until a time, and the reply to ROLE comes behind them. */
  function behindMessages(it: Scene, untilMs: number): void {
    it.at(1000, () => {
      it.link.echoes = false;
      it.link.outcome = (command) =>
        command === 'ROLE' ? timer(untilMs - it.scheduler.now(), it.scheduler).pipe(ignoreElements()) : replyOf(it);
    });
    interval(100, it.scheduler)
      .pipe(takeWhile(() => it.scheduler.now() <= untilMs))
      .subscribe(() => {
        it.link.say('test:room:tea', 'hello');
      });
  }

  test('waits for a canary behind other messages, and ends when a later reply has come without it', () => {
    scene((it) => {
      it.start();
      behindMessages(it, 2700);
      expect(it.until(2699).at(-1)).toBe('2 up');
      expect(it.until(4000).at(-1)).toBe('3000 ended: a canary was accepted and did not arrive within 300 ms');
    });
  });

  test('ends when canaries do not arrive although messages never cease, and leaves the publisher alone: the connection is too slow', () => {
    scene((it) => {
      const first = it.start();
      it.at(500, () => {
        first.unsubscribe();
        it.link.echoes = false;
        it.start();
      });
      behindMessages(it, 9000);
      it.at(400, () => (it.link.outcome = (command) => (command === 'ROLE' ? NEVER : replyOf(it))));
      expect(it.until(6000).slice(-2)).toEqual([
        '501 down: subscription: not checked yet',
        '2002 ended: a canary did not come through within 300 ms, nor 1500 ms behind other messages',
      ]);
    });
  });

  test('goes on while a large message arrives slowly', () => {
    scene((it) => {
      it.start();
      it.at(1000, () => {
        it.link.echoes = false;
        it.link.outcome = (command) => (command === 'ROLE' ? NEVER : replyOf(it));
      });
      interval(100, it.scheduler).subscribe(() => {
        it.link.trickle();
      });
      expect(it.until(2900).at(-1)).toBe('2 up');
    });
  });

  test('reports a lost canary if it is the first of the session, with the time of the last that arrived', () => {
    scene((it) => {
      const first = it.start();
      it.at(2000, () => {
        first.unsubscribe();
        it.link.echoes = false;
        it.start();
      });
      expect(it.until(3000).slice(-2)).toEqual([
        '2303 lost canary, the last arrived was of 1501',
        '2303 ended: a canary was accepted and did not arrive within 300 ms',
      ]);
    });
  });

  test('does not wait for the canary of a publisher that was replaced', () => {
    scene((it) => {
      it.link.echoes = false;
      it.start();
      it.at(100, () => {
        it.link.echoes = true;
        it.publishable$.next(undefined);
      });
      expect(it.until(1000).at(-1)).toBe('101 up');
    });
  });

  test('ends when its server has become a replica', () => {
    scene((it) => {
      it.start();
      it.at(1000, () => (it.link.role = 'slave'));
      expect(it.until(4000).at(-1)).toBe('1502 ended: the server is a slave, not a master');
    });
  });

  test('ends when the server does not answer', () => {
    scene((it) => {
      it.start();
      it.at(1000, () => (it.link.outcome = (command) => (command === 'ROLE' ? NEVER : replyOf(it))));
      expect(it.until(4000).at(-1)).toBe('2101 ended: ROLE was not answered within 300 ms');
    });
  });

  test('ends when a SUBSCRIBE is not confirmed', () => {
    scene((it) => {
      it.link.outcome = () => NEVER;
      it.start();
      expect(it.until(1000).at(-1)).toBe('300 ended: SUBSCRIBE was not answered within 300 ms');
    });
  });

  test('goes on but is not up when a canary is refused, and sends the next when the publisher is up', () => {
    scene((it) => {
      it.start();
      it.at(1000, () => (it.refusal = 'NOPERM'));
      it.at(2500, () => {
        it.refusal = undefined;
        it.publishable$.next();
      });
      expect(it.until(3000).slice(-3)).toEqual(['2 up', '1502 down: canary: NOPERM', '2501 up']);
    });
  });

  test('that has ended sends no canaries', () => {
    scene((it) => {
      const session = it.start();
      it.at(100, () => {
        session.unsubscribe();
      });
      it.until(10_000);
      expect(it.canaries).toHaveLength(1);
    });
  });
});

describe('a room that is left and joined again', () => {
  test('while its SUBSCRIBE is pending is confirmed by the second SUBSCRIBE', () => {
    scene((it) => {
      it.start();
      it.at(100, () => {
        it.link.outcome = () => timer(50, it.scheduler).pipe(ignoreElements());
        const first = it.join('tea');
        it.at(10, () => {
          first.unsubscribe();
        });
        it.at(20, () => {
          it.join('tea');
        });
      });
      expect(it.until(300).filter((line) => line.includes('tea'))).toEqual(['170 tea confirmed']);
      expect(it.link.asked.slice(3)).toEqual([
        '100 SUBSCRIBE test:room:tea',
        '110 UNSUBSCRIBE test:room:tea',
        '120 SUBSCRIBE test:room:tea',
      ]);
    });
  });

  test('between two sessions gets no gap for what it missed before', () => {
    scene((it) => {
      const tea = it.join('tea');
      const first = it.start();
      it.at(3500, () => {
        first.unsubscribe();
        tea.unsubscribe();
        it.join('tea');
        it.start();
      });
      expect(it.until(3600).filter((line) => /gap|tea/.test(line))).toEqual([
        '1 tea confirmed',
        '3500 tea lost',
        '3501 tea confirmed',
      ]);
    });
  });
});

describe('rooms that are left', () => {
  test('in one turn are left with one UNSUBSCRIBE', () => {
    scene((it) => {
      const rooms = ['tea', 'milk', 'jam'].map((room) => it.join(room));
      it.start();
      it.at(100, () => {
        for (const room of rooms) room.unsubscribe();
      });
      it.until(200);
      expect(it.link.asked.filter((asked) => asked.includes('UNSUBSCRIBE'))).toEqual([
        '100 UNSUBSCRIBE test:room:tea test:room:milk test:room:jam',
      ]);
    });
  });

  test('and joined again in one turn are not unsubscribed from, and are confirmed once more', () => {
    scene((it) => {
      const tea = it.join('tea');
      it.start();
      it.at(100, () => {
        tea.unsubscribe();
        it.join('tea');
      });
      expect(it.until(200).filter((line) => line.includes('tea'))).toEqual(['1 tea confirmed', '101 tea confirmed']);
      expect(it.link.asked.slice(3)).toEqual(['100 SUBSCRIBE test:room:tea']);
    });
  });

  test('between two sessions are requested by neither', () => {
    scene((it) => {
      const tea = it.join('tea');
      const session = it.start();
      it.at(100, () => {
        tea.unsubscribe();
        session.unsubscribe();
        it.start();
      });
      it.until(200);
      expect(it.link.asked.slice(3).filter((asked) => asked.includes('tea'))).toEqual([]);
    });
  });
});

describe('messages that come before a session is ready', () => {
  test('are dropped, though Redis has confirmed their room: the gap comes first', () => {
    scene((it) => {
      it.join('tea');
      const first = it.start();
      it.at(100, () => {
        first.unsubscribe();
        it.batches = (channels) => [
          channels.filter((channel) => channel.endsWith('tea')),
          channels.filter((channel) => !channel.endsWith('tea')),
        ];
        let asked = 0;
        it.link.outcome = () => timer((asked += 1) === 1 ? 1 : 50, it.scheduler).pipe(ignoreElements());
        it.start();
      });
      for (const ms of [110, 160]) {
        it.at(ms, () => {
          it.link.say('test:room:tea', 'hello');
        });
      }
      expect(it.until(200).filter((line) => /gap|received|tea/.test(line))).toEqual([
        '1 tea confirmed',
        '100 tea lost',
        expect.stringMatching(/^150 gap since/),
        '150 tea confirmed',
        '160 received tea',
      ]);
    });
  });
});

describe('a room whose slot moves away', () => {
  test('is lost and requested again, and gets a gap when it is confirmed; other rooms are not affected', () => {
    scene((it) => {
      it.join('tea');
      it.join('milk');
      it.start();
      it.at(3000, () => {
        it.link.take('test:room:tea');
      });
      it.at(3000, () => {
        it.link.say('test:room:milk', 'hello');
      });
      expect(it.until(3500).slice(-4)).toEqual([
        '3000 received milk',
        '3000 tea lost',
        '3002 gap since 625 in tea',
        '3002 tea confirmed',
      ]);
    });
  });
});

describe('the next session', () => {
  test('begins with a gap since the last canary that came back was sent, less the time that a publish may take', () => {
    scene((it) => {
      it.join('tea');
      const first = it.start();
      it.at(3000, () => {
        it.link.say('test:room:tea', 'hello');
      });
      it.at(3500, () => {
        first.unsubscribe();
        it.start();
        it.link.say('test:room:tea', 'too early');
      });
      it.at(3510, () => {
        it.link.say('test:room:tea', 'hello');
      });
      expect(
        it
          .until(3600)
          .slice(4)
          .filter((line) => !/up|down/.test(line)),
      ).toEqual(['3000 received tea', '3500 tea lost', '3501 gap since 2626 in tea', '3501 tea confirmed', '3510 received tea']);
    });
  });

  test('keeps the beginning of the gap if it ends before it is ready', () => {
    scene((it) => {
      it.join('tea');
      const first = it.start();
      it.at(3500, () => {
        first.unsubscribe();
        it.link.outcome = () => NEVER;
        it.start();
      });
      it.at(5000, () => {
        it.link.outcome = () => replyOf(it);
        it.start();
      });
      expect(it.until(5100).filter((line) => line.includes('gap'))).toEqual(['5001 gap since 2626 in tea']);
    });
  });

  test('emits no gap for a room that was not open before', () => {
    scene((it) => {
      const first = it.start();
      it.at(100, () => {
        first.unsubscribe();
        it.join('tea');
        it.start();
      });
      const log = it.until(200);
      expect(log.filter((line) => line.includes('gap'))).toEqual([]);
      expect(log).toContain('101 tea confirmed');
    });
  });
});
