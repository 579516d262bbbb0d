import { describe, expect, test } from '@jest/globals';
import { Intake } from '../src/intake.js';
import { marbles } from './support/marbles.js';

const IS = { t: true, f: false };

/** What may happen to an intake, each as a letter; a digit is how many messages wait to be handled. */
const HAPPENINGS: Readonly<Record<string, (intake: Intake) => void>> = {
  w: (intake) => {
    intake.welcome();
  },
  d: (intake) => {
    intake.drain();
  },
  p: (intake) => {
    intake.published();
  },
  c: (intake) => {
    intake.confirmed();
  },
};

function happen(intake: Intake, what: string): void {
  const happening = HAPPENINGS[what];
  if (happening) happening(intake);
  else intake.hold(Number(what));
}

interface Rows {
  readonly story: string;
  readonly open: string;
  readonly paused: string;
}

/** Tells an intake with a window of two the story, and compares what it says. */
function expectIntake({ story, open, paused }: Rows): void {
  marbles(({ hot, expectObservable }) => {
    const intake = new Intake(2);
    hot(story).subscribe((what) => {
      happen(intake, what);
    });
    expectObservable(intake.open$).toBe(open, IS);
    expectObservable(intake.paused$).toBe(paused, IS);
  });
}

describe('an intake', () => {
  test('is closed until the welcome, but the socket is read', () => {
    expectIntake({
      story: ' ---w---',
      open: '  f--t---',
      paused: 'f------',
    });
  });

  test('leaves the socket unread while as many messages as the window wait for the welcome', () => {
    expectIntake({
      story: ' -1-2-3-w-0-',
      open: '  f------t---',
      paused: 'f--t-----f-',
    });
  });

  test('closes, and leaves the socket unread, while as many publishes as the window are unconfirmed', () => {
    expectIntake({
      story: ' -w-p-p-c-p-c-c-',
      open: '  ft---f-t-f-t---',
      paused: 'f----t-f-t-f---',
    });
  });

  test('counts what waits and what is unconfirmed in one window', () => {
    expectIntake({
      story: ' -w-p-1-0-1-c-p--',
      open: '  ft--------------',
      paused: 'f----t-f-t-f-t--',
    });
  });

  test('is not closed by what waits: that is what it is to let through', () => {
    expectIntake({
      story: ' -w-5---0-',
      open: '  ft-------',
      paused: 'f--t---f-',
    });
  });

  test('says only what is new', () => {
    expectIntake({
      story: ' -w-w-3-4-p-2-0-c',
      open: '  ft--------------',
      paused: 'f----t-------f--',
    });
  });

  test('is closed and leaves the socket unread for good once the pod goes away', () => {
    expectIntake({
      story: ' -w-p-d-c-w-0-',
      open: '  ft---f-------',
      paused: 'f----t-------',
    });
  });

  test('is never opened by a welcome that comes after the pod began to go away', () => {
    expectIntake({
      story: ' -d-w-',
      open: '  f----',
      paused: 'ft---',
    });
  });

  test('knows whether the welcome was said', () => {
    const intake = new Intake(2);
    expect(intake.welcomed).toBe(false);
    intake.welcome();
    expect(intake.welcomed).toBe(true);
    intake.drain();
    expect(intake.welcomed).toBe(true);
  });

  test.each([
    { window: 1, publishes: 1, open: false },
    { window: 32, publishes: 31, open: true },
    { window: 32, publishes: 32, open: false },
  ])('with a window of $window and $publishes unconfirmed publishes is open: $open', ({ window, publishes, open }) => {
    const intake = new Intake(window);
    intake.welcome();
    for (let count = 0; count < publishes; count += 1) intake.published();
    expect(intake.open$.value).toBe(open);
    expect(intake.paused$.value).toBe(!open);
  });

  test('comes to rest right when those it tells answer at once', () => {
    const intake = new Intake(2);
    let waiting = 5;
    intake.hold(waiting);
    // As the connection does: what waits is let through, and each message is published.
    intake.open$.subscribe((open) => {
      while (open && intake.open$.value && waiting > 0) {
        intake.published();
        waiting -= 1;
        intake.hold(waiting);
      }
    });
    intake.welcome();
    expect([waiting, intake.open$.value, intake.paused$.value]).toEqual([3, false, true]);
    for (let count = 0; count < 3; count += 1) intake.confirmed();
    expect([waiting, intake.open$.value, intake.paused$.value]).toEqual([0, false, true]);
    intake.confirmed();
    expect([intake.open$.value, intake.paused$.value]).toEqual([true, false]);
  });
});

describe("an intake's settled$", () => {
  test('says once, and at once, that nothing is unconfirmed', () => {
    marbles(({ hot, expectObservable }) => {
      const intake = new Intake(2);
      const story = '   ---p-c-';
      const asked = '   -^     ';
      const expected = '-(x|)  ';

      hot(story).subscribe((what) => {
        happen(intake, what);
      });
      expectObservable(intake.settled$, asked).toBe(expected, { x: true });
    });
  });

  test('waits for the last confirmation', () => {
    marbles(({ hot, expectObservable }) => {
      const intake = new Intake(2);
      const story = '   -p-p-c---c-p-c';
      const asked = '   --^           ';
      const expected = '---------(x|) ';

      hot(story).subscribe((what) => {
        happen(intake, what);
      });
      expectObservable(intake.settled$, asked).toBe(expected, { x: true });
    });
  });

  test('comes while the pod goes away too, and asks nothing of what waits', () => {
    marbles(({ hot, expectObservable }) => {
      const intake = new Intake(2);
      const story = '   -w-p-3-d-c----';
      const asked = '   -------^      ';
      const expected = '---------(x|) ';

      hot(story).subscribe((what) => {
        happen(intake, what);
      });
      expectObservable(intake.settled$, asked).toBe(expected, { x: true });
    });
  });
});
