import type { Handler } from '../handlers/handler.js';
import { builtInHandlers } from '../handlers/built-in/index.js';
import type { Middleware } from '../handlers/middleware.js';
import { COMPLETE } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';
import { effectLegend } from './effect-row.js';
import { HandlerTest, completing, type HandlerLegend } from './handler-test.js';
import type { TestReport } from './report.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/** What the letters of a wrap's diagram stand for, and what is inside it. */
export interface MiddlewareLegend extends HandlerLegend {
  /** What it goes around; the built-in handlers where absent. The first has the messages that name no type. */
  readonly handlers?: readonly Handler[];
}

/**
 * Tests what goes around all handlers, with aligned rows, in virtual time: what a client says, and what is to be done in the end.
 * The rows are those of `testHandler`; `subs` is when the wrap is subscribed to its messages.
 *
 * @example
 * testWrap(
 *   rateLimit({ messages: 2, perMs: 1000 }),
 *   `
 *     says     -abc- 1s d
 *     effects  -abx- 1s d
 *   `,
 *   …
 * );
 *
 * @param subject the wrap, or what makes it of the kit
 * @throws MarbleError as `testHandler` does
 */
export function testMiddleware(
  subject: Middleware | ((kit: Kit) => Middleware),
  diagram: string,
  legend: MiddlewareLegend = {},
): TestReport {
  return virtualTest(testMiddleware, (strays) => {
    const test = new VirtualTest(strays);
    const { handlers = builtInHandlers } = legend;
    const wrap = typeof subject === 'function' ? subject(test.kit) : subject;
    const subs = new SubscriptionLog(() => test.nowMs);
    const effects = test.output('effects', effectLegend(legend.effects), COMPLETE);
    const watched: Middleware = {
      ...wrap,
      operate: (message$, handle, context) =>
        wrap.operate(message$.pipe(subs.noted()), handle, context).pipe(completing(effects)),
    };
    test.subscriptions('subs', subs);
    const playing = new HandlerTest(test, legend);
    const subjects = { type: handlers[0]?.type ?? '', handlers, middleware: [watched] };
    playing.play(`${wrap.name} did something else`, diagram, subjects, effects);
    return playing.report;
  });
}
