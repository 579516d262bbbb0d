import type { Handler } from '../handlers/handler.js';
import { COMPLETE } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';
import { effectLegend } from './effect-row.js';
import { HandlerTest, completing, type HandlerLegend } from './handler-test.js';
import type { TestReport } from './report.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/**
 * Tests a handler with aligned rows, in virtual time: the messages of a client, and the effects of the handler.
 *
 * Messages pass the service's own checks, and errors are handled as in the service: a message that does not match the schema, or on which
 * the handler fails, gives a `reject` in the row `effects`.
 *
 * Rows: `says`, whose `!` is the end of the connection; `effects`, whose `|` is the handler's completion; `subs`, when the handler is
 * subscribed to its messages (`^`) and no longer (`!`); `rooms`, where the connection is; and those of `hot` and `cold` streams.
 * After the last row the test goes on until nothing is due.
 *
 * @example
 * testHandler(
 *   typing,
 *   `
 *     says     -k-k-- 3s k
 *     effects  -t---- 3s t
 *   `,
 *   { says: { k: { data: {} } }, effects: { t: publish({ type: 'typing' }) } },
 * );
 *
 * @param subject the handler, or a function that makes it of the kit
 * @throws MarbleError with the actual and expected diagrams if they differ; if a timer or a subscription is left behind; if a timer was
 *   started in real time
 */
export function testHandler(subject: Handler | ((kit: Kit) => Handler), diagram: string, legend: HandlerLegend = {}): TestReport {
  return virtualTest(testHandler, (strays) => {
    const test = new VirtualTest(strays);
    const handler = typeof subject === 'function' ? subject(test.kit) : subject;
    const subs = new SubscriptionLog(() => test.nowMs);
    const effects = test.output('effects', effectLegend(legend.effects), COMPLETE);
    const watched: Handler = {
      ...handler,
      operate: (message$, context) => handler.operate(message$.pipe(subs.noted()), context).pipe(completing(effects)),
    };
    test.subscriptions('subs', subs);
    const playing = new HandlerTest(test, legend);
    const title = `the handler of ${handler.type} did something else`;
    playing.play(title, diagram, { type: handler.type, handlers: [watched], middleware: [] }, effects);
    return playing.report;
  });
}
