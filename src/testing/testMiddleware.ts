import type { Handler } from '../handlers/handler.js';
import { builtInHandlers } from '../handlers/built-in/index.js';
import type { Middleware } from '../handlers/middleware.js';
import { COMPLETE } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';
import { effectLegend } from './effect-row.js';
import { HandlerTest, completing, type HandlerLegend } from './handler-test.js';
import type { TestReport } from './report.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/** The values of the letters in a middleware's diagram, and the handlers inside it. */
export interface MiddlewareLegend extends HandlerLegend {
  /** The handlers inside; by default the built-in ones. Messages without a type are of the first one's type. */
  readonly handlers?: readonly Handler[];
}

/**
 * Tests a middleware with aligned rows, in virtual time: the messages of a client, and the effects that result.
 * The rows are those of `testHandler`; `subs` shows when the middleware is subscribed to its messages.
 *
 * @example
 * testMiddleware(
 *   rateLimit({ messages: 2, perMs: 1000 }),
 *   `
 *     says     -abc- 1s d
 *     effects  -abx- 1s d
 *   `,
 *   …
 * );
 *
 * @param subject the middleware, or a function that makes it of the kit
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
