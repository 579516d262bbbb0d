import type { Handler } from '../handlers/handler.js';
import { COMPLETE } from './diagram/rows.js';
import { SubscriptionLog } from './diagram/subscription-log.js';
import { effectLegend } from './effect-row.js';
import { HandlerTest, completing, type HandlerLegend } from './handler-test.js';
import type { TestReport } from './report.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/**
 * Tests a message type with aligned rows, in virtual time: what a client says, and what the handler wants done.
 *
 * Messages pass the service's own checks, and errors are contained as they are there: what does not fit the schema, and what the
 * handler fails on, is a `reject` in the row of effects.
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
 * @param subject the handler, or what makes it of the kit
 * @throws MarbleError with the diagrams, expected under actual, where it does something else; where it leaves a timer or a
 *   subscription behind; where a timer was started in real time
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
