import { BehaviorSubject, Subject, tap, type MonoTypeOperatorFunction } from 'rxjs';
import { memoryBroker } from '../broker/memory.js';
import { checkConfig, type Settings } from '../config/config.js';
import type { Effect } from '../handlers/effect.js';
import type { Handler } from '../handlers/handler.js';
import { checked } from '../dispatch/check.js';
import { dispatched, type Outcome } from '../dispatch/dispatch.js';
import { createPod } from '../server/pod.js';
import type { ConnectionContext } from '../connection/context.js';
import type { Middleware } from '../handlers/middleware.js';
import { Legend } from './diagram/legend.js';
import { COMPLETE, END } from './diagram/rows.js';
import { comparable } from './effect-row.js';
import { reporting, type Report } from './report.js';
import { frameOf, type Said } from './said.js';
import type { Recording, VirtualTest } from './virtual-test.js';

/** What the letters of a handler's diagram stand for, and the connection that it is played on. */
export interface HandlerLegend {
  /** What a client says: messages, whose type is the handler's where they name none; or texts of frames, as they are. */
  readonly says?: Readonly<Record<string, Said>>;
  /** What the handler wants done. `ref`, which the connection fills in, is compared where it is written. */
  readonly effects?: Readonly<Record<string, Effect>>;
  /** The rooms that the connection is in: all the time, or by the letters of a row `rooms`. */
  readonly rooms?: readonly string[] | Readonly<Record<string, readonly string[]>>;
  /** `from` of what the connection publishes; `me` where absent. */
  readonly identity?: string;
  /** Limits of the service, as for `createChatServer`. */
  readonly config?: Settings;
  /** What the dice show, from 0 up to, and without, 1; 0.5 where absent. */
  readonly chance?: number;
}

/** What is played. */
export interface Subjects {
  /** What a message that names no type is for. */
  readonly type: string;
  readonly handlers: readonly Handler[];
  readonly middleware: readonly Middleware[];
}

/** A connection's handlers at work: the checks of the service before them, and what they want done after. */
export class HandlerTest {
  readonly report: Report;
  readonly #test: VirtualTest;
  readonly #legend: HandlerLegend;

  constructor(test: VirtualTest, legend: HandlerLegend) {
    this.#test = test;
    this.#legend = legend;
    this.report = reporting(test);
    test.chance = legend.chance ?? test.chance;
  }

  play(title: string, diagram: string, subjects: Subjects, effects: Recording): void {
    const { says } = this.#legend;
    const test = this.#test;
    const said$ = new Subject<{ readonly text: string }>();
    const context = this.#connect(subjects);
    const current = this.#rooms();
    const running = said$.pipe(checked(context, current), dispatched(context, current)).subscribe((outcome: Outcome) => {
      effects.value(comparable(outcome));
      // As in a connection, nothing more is handled.
      if (outcome.kind === 'close') running.unsubscribe();
    });
    test.input('says', {
      legend: new Legend(says ?? {}),
      marks: END,
      take: ({ mark, value }) => {
        if (mark !== END) said$.next({ text: frameOf(value as Said, subjects.type) });
        else {
          running.unsubscribe();
          test.ended();
        }
      },
    });
    test.play(title, test.read(diagram, 'effects'), () => {
      running.unsubscribe();
    });
  }

  #connect({ handlers, middleware }: Subjects): ConnectionContext {
    const { config = {}, identity = 'me' } = this.#legend;
    const { runtime } = this.#test;
    const { log, metrics } = this.report;
    const pod = createPod({
      limits: checkConfig(config),
      handlers,
      middleware,
      broker: memoryBroker(),
      runtime,
      metrics,
      log,
    });
    return { pod, id: 'connection', identity, rooms: [], access: undefined };
  }

  /** Where the connection is: what a row says, not what the handler wants. */
  #rooms(): { readonly rooms: readonly string[]; readonly rooms$: BehaviorSubject<readonly string[]> } {
    const { rooms = [] } = this.#legend;
    const rooms$ = new BehaviorSubject<readonly string[]>(isList(rooms) ? rooms : []);
    if (!isList(rooms)) {
      this.#test.input('rooms', {
        legend: new Legend(rooms),
        marks: '',
        take: ({ value }) => {
          rooms$.next(value as readonly string[]);
        },
      });
    }
    return {
      rooms$,
      get rooms() {
        return rooms$.value;
      },
    };
  }
}

/** Notes the end of what wants effects. */
export function completing(effects: Recording): MonoTypeOperatorFunction<Effect> {
  return tap({
    complete: () => {
      effects.mark(COMPLETE);
    },
  });
}

function isList(rooms: NonNullable<HandlerLegend['rooms']>): rooms is readonly string[] {
  return Array.isArray(rooms);
}
