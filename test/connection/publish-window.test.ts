import { describe, expect, test } from '@jest/globals';
import type { Observable } from 'rxjs';
import { HeldBytes } from '../../src/connection/held-bytes.js';
import { PublishWindow } from '../../src/connection/publish-window.js';
import { marbles } from '../support/marbles.js';

const IS = { t: true, f: false };

/** The calls of a publish window, each as a letter; a digit is the number of bytes that wait to be handled. */
const HAPPENINGS: Readonly<Record<string, (publishWindow: PublishWindow) => void>> = {
  w: (publishWindow) => {
    publishWindow.welcome();
  },
  d: (publishWindow) => {
    publishWindow.drain();
  },
  q: (publishWindow) => {
    publishWindow.queue(true);
  },
  Q: (publishWindow) => {
    publishWindow.queue(false);
  },
  p: (publishWindow) => {
    publishWindow.begun();
  },
  c: (publishWindow) => {
    publishWindow.settled();
  },
};

function happen(publishWindow: PublishWindow, what: string): void {
  const happening = HAPPENINGS[what];
  if (happening) happening(publishWindow);
  else publishWindow.hold(Number(what));
}

/** What a stream says when it is subscribed to. */
function present(state$: Observable<boolean>): boolean | undefined {
  let present: boolean | undefined;
  state$.subscribe((value) => (present = value)).unsubscribe();
  return present;
}

interface Rows {
  readonly story: string;
  readonly open: string;
  readonly paused: string;
}

/** Makes the calls of a story on a window of two, and compares its streams. */
function expectStreams({ story, open, paused }: Rows): void {
  marbles(({ hot, expectObservable }, scheduler) => {
    const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
    hot(story).subscribe((what) => {
      happen(publishWindow, what);
    });
    expectObservable(publishWindow.open$).toBe(open, IS);
    expectObservable(publishWindow.paused$).toBe(paused, IS);
  });
}

describe('a publish window', () => {
  test('is closed until the welcome, but the socket is read', () => {
    expectStreams({
      story: ' ---w---',
      open: '  f--t---',
      paused: 'f------',
    });
  });

  test('leaves the socket unread while anything waits for the welcome', () => {
    expectStreams({
      story: ' -1-2-3-w-0-',
      open: '  f------t---',
      paused: 'ft-------f-',
    });
  });

  test('closes, and leaves the socket unread, while a publish waits for earlier ones', () => {
    expectStreams({
      story: ' -w-q-q-Q-Q-',
      open: '  ft-f---t---',
      paused: 'f--t---f---',
    });
  });

  test('closes, and leaves the socket unread, while as many publishes as the window are unconfirmed', () => {
    expectStreams({
      story: ' -w-p-p-c-p-c-c-',
      open: '  ft---f-t-f-t---',
      paused: 'f----t-f-t-f---',
    });
  });

  test('leaves the socket unread while a message waits, whatever room the window has', () => {
    expectStreams({
      story: ' -w-p-1-0-1-c-0--',
      open: '  ft--------------',
      paused: 'f----t-f-t---f--',
    });
  });

  test('is not closed by what waits: that is what it is to let through', () => {
    expectStreams({
      story: ' -w-5---0-',
      open: '  ft-------',
      paused: 'f--t---f-',
    });
  });

  test('says only what is new', () => {
    expectStreams({
      story: ' -w-w-3-4-p-2-0-c',
      open: '  ft--------------',
      paused: 'f----t-------f--',
    });
  });

  test('is closed and leaves the socket unread for good once the pod goes away', () => {
    expectStreams({
      story: ' -w-p-d-c-w-0-',
      open: '  ft---f-------',
      paused: 'f----t-------',
    });
  });

  test('is never opened by a welcome that comes after the pod began to go away', () => {
    expectStreams({
      story: ' -d-w-',
      open: '  f----',
      paused: 'ft---',
    });
  });

  test('tells of the welcome once: when it is said, or at once where it was', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
      hot('--w-d-w').subscribe((what) => {
        happen(publishWindow, what);
      });
      expectObservable(publishWindow.welcomed$).toBe('--(t|)', IS);
      expectObservable(publishWindow.welcomed$, '----^').toBe('----(t|)', IS);
    });
  });

  test('knows whether the welcome was said', () => {
    const publishWindow = new PublishWindow(2, () => 0, new HeldBytes(1000));
    expect(publishWindow.welcomed).toBe(false);
    publishWindow.welcome();
    expect(publishWindow.welcomed).toBe(true);
    publishWindow.drain();
    expect(publishWindow.welcomed).toBe(true);
  });

  test.each([
    { window: 1, publishes: 1, open: false },
    { window: 32, publishes: 31, open: true },
    { window: 32, publishes: 32, open: false },
  ])('with a window of $window and $publishes unconfirmed publishes is open: $open', ({ window, publishes, open }) => {
    const publishWindow = new PublishWindow(window, () => 0, new HeldBytes(1000));
    publishWindow.welcome();
    for (let count = 0; count < publishes; count += 1) publishWindow.begun();
    expect(present(publishWindow.open$)).toBe(open);
    expect(publishWindow.isPaused).toBe(!open);
  });

  test('comes to rest right when those it tells answer at once', () => {
    const publishWindow = new PublishWindow(2, () => 0, new HeldBytes(1000));
    let waiting = 5;
    publishWindow.hold(waiting);
    // As the connection does: what waits is let through, and each message is published.
    publishWindow.open$.subscribe((open) => {
      while (open && present(publishWindow.open$) && waiting > 0) {
        publishWindow.begun();
        waiting -= 1;
        publishWindow.hold(waiting);
      }
    });
    publishWindow.welcome();
    expect([waiting, present(publishWindow.open$), publishWindow.isPaused]).toEqual([3, false, true]);
    for (let count = 0; count < 3; count += 1) publishWindow.settled();
    expect([waiting, present(publishWindow.open$), publishWindow.isPaused]).toEqual([0, false, true]);
    publishWindow.settled();
    expect([present(publishWindow.open$), publishWindow.isPaused]).toEqual([true, false]);
  });
});

describe("a publish window's clock", () => {
  /** What it says at each `?` of the story. */
  function pausedMs(story: string): number[] {
    const read: number[] = [];
    marbles(({ hot, flush }, scheduler) => {
      const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
      hot(story).subscribe((what) => {
        if (what === '?') read.push(publishWindow.pausedMs);
        else happen(publishWindow, what);
      });
      flush();
    });
    return read;
  }

  test('stands while the socket is read', () => {
    expect(pausedMs('?-w-p-?-c-?')).toEqual([0, 0, 0]);
  });

  test('goes on while the socket is left unread', () => {
    expect(pausedMs('-2-? 9ms ?')).toEqual([2, 12]);
  });

  test('adds up each time that it was left unread', () => {
    expect(pausedMs('-w-pp 9ms c?-p 19ms ? 9ms c 99ms ?')).toEqual([10, 30, 40]);
  });

  test('is not begun anew by more of what it waits for already', () => {
    expect(pausedMs('-w-pp 4ms 3 4ms p-?')).toEqual([12]);
  });

  /** The same of a story in which the pod fills up (`F`), is so no longer (`E`), and the window looks (`l`). */
  function pausedMsInPod(story: string): number[] {
    const read: number[] = [];
    marbles(({ hot, flush }, scheduler) => {
      const held = new HeldBytes(1000);
      const publishWindow = new PublishWindow(2, scheduler.now, held);
      hot(story).subscribe((what) => {
        if (what === '?') read.push(publishWindow.pausedMs);
        else if (what === 'F') held.add(1000);
        else if (what === 'E') held.add(-1000);
        else if (what === 'l') publishWindow.look();
        else happen(publishWindow, what);
      });
      flush();
    });
    return read;
  }

  test('goes on while the pod is full, which reads no socket then, from one look to the next', () => {
    expect(pausedMsInPod('-w-F-l 9ms ? 9ms E-l-? 99ms ?')).toEqual([10, 22, 22]);
  });

  test('stands though somebody looks, where the pod is not full', () => {
    expect(pausedMsInPod('-w-l 9ms l-?')).toEqual([0]);
  });

  test('goes on after the pod is full no longer while the connection itself is not read', () => {
    expect(pausedMsInPod('-w-F-l-p-p-E-l-? 9ms c-?')).toEqual([10, 20]);
  });

  test('learns of a full pod by whatever happens to the connection, too', () => {
    expect(pausedMsInPod('-w-F-p 9ms ? 9ms E-c-? 99ms ?')).toEqual([10, 22, 22]);
  });

  test('goes on for good once the pod goes away', () => {
    expect(pausedMs('-w-d-c-0-? 99ms ?')).toEqual([6, 106]);
  });
});

describe("a publish window's streams", () => {
  test('say nothing of a full pod, which sees to its sockets itself', () => {
    const held = new HeldBytes(1000);
    const publishWindow = new PublishWindow(2, () => 0, held);
    publishWindow.welcome();
    held.add(1000);
    publishWindow.look();
    expect([present(publishWindow.open$), present(publishWindow.paused$), publishWindow.isPaused]).toEqual([true, false, false]);
  });

  test('begin with the present answer, whenever they are asked for', () => {
    const publishWindow = new PublishWindow(2, () => 0, new HeldBytes(1000));
    const say = () => [present(publishWindow.open$), present(publishWindow.paused$), present(publishWindow.settled$)];
    expect(say()).toEqual([false, false, true]);
    publishWindow.welcome();
    publishWindow.begun();
    expect(say()).toEqual([true, false, undefined]);
    publishWindow.begun();
    expect(say()).toEqual([false, true, undefined]);
  });

  test('asked for late begin with the present answer too', () => {
    const publishWindow = new PublishWindow(2, () => 0, new HeldBytes(1000));
    publishWindow.welcome();
    publishWindow.begun();
    publishWindow.begun();
    expect([present(publishWindow.open$), present(publishWindow.paused$), present(publishWindow.settled$)]).toEqual([
      false,
      true,
      undefined,
    ]);
    expect(publishWindow.isPaused).toBe(true);
  });
});

describe("a publish window's settled$", () => {
  test('says once, and at once, that nothing is unconfirmed', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
      const story = '   ---p-c-';
      const asked = '   -^     ';
      const expected = '-(x|)  ';

      hot(story).subscribe((what) => {
        happen(publishWindow, what);
      });
      expectObservable(publishWindow.settled$, asked).toBe(expected, { x: true });
    });
  });

  test('waits for the last confirmation', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
      const story = '   -p-p-c---c-p-c';
      const asked = '   --^           ';
      const expected = '---------(x|) ';

      hot(story).subscribe((what) => {
        happen(publishWindow, what);
      });
      expectObservable(publishWindow.settled$, asked).toBe(expected, { x: true });
    });
  });

  test('comes while the pod goes away too, and asks nothing of what waits', () => {
    marbles(({ hot, expectObservable }, scheduler) => {
      const publishWindow = new PublishWindow(2, scheduler.now, new HeldBytes(1000));
      const story = '   -w-p-3-d-c----';
      const asked = '   -------^      ';
      const expected = '---------(x|) ';

      hot(story).subscribe((what) => {
        happen(publishWindow, what);
      });
      expectObservable(publishWindow.settled$, asked).toBe(expected, { x: true });
    });
  });
});
