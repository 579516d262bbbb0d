import { Subject, tap } from 'rxjs';
import { memoryBroker } from '../broker-memory.js';
import { readConfig } from '../config.js';
import { handled, judged, type Outcome } from '../conversation.js';
import type { Effect, Handler } from '../handler.js';
import { noMetrics } from '../metrics.js';
import { createPod } from '../pod.js';
import type { Rejection } from '../message.js';
import { describeEffect } from './described-effect.js';
import { COMPLETE, END } from './diagram.js';
import { Legend } from './legend.js';
import { recordingLogger, type Logged } from './recording-logger.js';
import { frameOf, type Said } from './said.js';
import { SubscriptionLog } from './subscription-log.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/** What the letters of a handler's diagram stand for, and the connection that it is played on. */
export interface HandlerLegend {
  readonly says?: Readonly<Record<string, Said>>;
  readonly effects?: Readonly<Record<string, Effect | Rejection>>;
  /** Where the connection is all the time. */
  readonly rooms?: readonly string[];
  /** `from` of what the connection publishes; `me` where absent. */
  readonly identity?: string;
  /** Variables of the service's configuration, as in its environment. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What `random` gives; 0.5 where absent. */
  readonly chance?: number;
}

/** What else came of a handler's test. */
export interface HandlerReport {
  readonly logged: readonly Logged[];
}

export function testHandler(
  subject: Handler | ((kit: Kit) => Handler),
  diagram: string,
  { says, effects, rooms = [], identity = 'me', environment = {}, chance }: HandlerLegend = {},
): HandlerReport {
  const logged: Logged[] = [];
  virtualTest(testHandler, (strays) => {
    const test = new VirtualTest(strays, chance);
    const log = recordingLogger((line) => {
      logged.push(line);
      if (line.level === 'error') test.hints.push(`${line.message}: ${String(line.details['err'])}`);
    });
    const recording = test.output('effects', new Legend(effects ?? {}, describeEffect), COMPLETE);
    const subs = new SubscriptionLog(() => test.nowMs);
    const handler = typeof subject === 'function' ? subject(test.kit) : subject;
    const observed: Handler = {
      ...handler,
      operate: (message$, context) =>
        handler.operate(message$.pipe(subs.noted()), context).pipe(
          tap({
            complete: () => {
              recording.mark(COMPLETE);
            },
          }),
        ),
    };
    test.subscriptions('subs', subs);
    const pod = createPod({
      limits: readConfig(environment),
      handlers: [observed],
      broker: memoryBroker(),
      world: test.world,
      metrics: noMetrics,
      log,
    });
    const connection = { pod, id: 'connection', identity, rooms, access: undefined };
    const said$ = new Subject<string>();
    const running = said$.pipe(judged(connection), handled(connection)).subscribe((outcome: Outcome) => {
      recording.value(outcome);
      if (outcome.kind === 'close') running.unsubscribe();
    });
    test.input('says', {
      legend: new Legend(says ?? {}),
      marks: END,
      take: ({ mark, value }) => {
        if (mark === END) {
          running.unsubscribe();
          test.ended();
        } else said$.next(frameOf(value as Said, handler.type));
      },
    });
    test.play(`the handler of ${handler.type} did something else`, test.read(diagram, 'effects'), () => {
      running.unsubscribe();
    });
  });
  return { logged };
}
