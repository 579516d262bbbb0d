import { Subject } from 'rxjs';
import { authorizeByClaims, type Grant, type Identity } from '../auth/grant.js';
import { checkConfig, type Settings } from '../config/config.js';
import type { Handler } from '../handlers/handler.js';
import { builtInHandlers } from '../handlers/built-in/index.js';
import type { OutboundTransform } from '../connection/context.js';
import type { Publication } from '../broker/broker.js';
import type { Middleware } from '../handlers/middleware.js';
import { Participant, legends } from './conversation/participant.js';
import { TestPod } from './conversation/test-pod.js';
import { Legend } from './diagram/legend.js';
import { MarbleError } from './diagram/marble-error.js';
import { BEGIN, COMPLETE, END, type Row } from './diagram/rows.js';
import type { Heard } from './heard.js';
import { reporting, type Report, type TestReport } from './report.js';
import type { Said } from './said.js';
import { VirtualTest, virtualTest, type Kit } from './virtual-test.js';

/** A connection of a conversation; its name is its id, and `from` of what it says where there is no `identity`. */
export interface ConnectionOptions {
  /** The rooms that it asks for. */
  readonly rooms?: readonly string[];
  readonly identity?: string;
  /** What its token says; absent: it has none, and may do everything. `exp` counts seconds from the beginning. */
  readonly claims?: Readonly<Record<string, unknown>>;
  /** Where it connects; the first pod where absent. */
  readonly pod?: string;
}

/** Who talks, and what the letters stand for. */
export interface Conversation {
  /** By name. */
  readonly connections: Readonly<Record<string, ConnectionOptions>>;
  /** Names of the pods; `pod` where absent. */
  readonly pods?: readonly [string, ...string[]];
  readonly says?: Readonly<Record<string, Said>>;
  readonly hears?: Readonly<Record<string, Heard>>;
  /** The message types there are; the built-in ones where absent. */
  readonly handlers?: readonly Handler[];
  /** What goes around all handlers, the first of them outermost. */
  readonly middleware?: readonly Middleware[];
  /** How a connection hears what is said in its rooms. */
  readonly transform?: OutboundTransform;
  /** What a connection with claims may do; it answers at once here. */
  readonly authorize?: (identity: Identity) => Grant | undefined;
  /** Limits of the service, as for `createChatServer`; but presence is off where `presenceMaxMembers` doesn't say otherwise. */
  readonly config?: Settings;
  /** What the dice show, from 0 up to, and without, 1; 0.5 where absent. */
  readonly chance?: number;
}

/** Longer than a room outlives its last member. */
const LINGER_MS = 2000;

/**
 * Tests the messages between connections with aligned rows, in virtual time: whole pods of the service, over an in-process broker.
 *
 * Rows: for each connection its name, where `^` connects (without one, it is there from the beginning), letters are said, and `!` is
 * the loss of its socket; `<name> hears`; `<name> reads`, where `!` fills its socket and `^` empties it. For each pod its name, where
 * `!` loses its way to the other pods, `^` finds it again, and `|` has it drain; `<pod> in <room>`, when it is subscribed to a room.
 * And those of `hot` and `cold` streams. After the last row the test goes on until nothing is due; then everybody leaves.
 *
 * @example
 * testConversation(
 *   `
 *     alice        -a
 *     alice hears  wa
 *     bob          ---^--b
 *     bob hears    ---w
 *   `,
 *   {
 *     connections: { alice: { rooms: ['tea'] }, bob: { rooms: ['coffee'] } },
 *     says: { a: { type: 'chat', data: { content: 'hi' } }, b: { type: 'chat', data: { content: 'nobody here?' } } },
 *     hears: { w: welcome, a: { type: 'chat', from: 'alice', data: { content: 'hi' } } },
 *   },
 * );
 *
 * @throws MarbleError with the actual and expected diagrams if they differ; if a timer or a subscription is left behind; if a timer was
 *   started in real time
 */
export function testConversation(diagram: string, conversation: Conversation | ((kit: Kit) => Conversation)): TestReport {
  return virtualTest(testConversation, (strays) => {
    const test = new VirtualTest(strays);
    const report = reporting(test);
    const talk = typeof conversation === 'function' ? conversation(test.kit) : conversation;
    test.chance = talk.chance ?? test.chance;
    const pods = startPods(test, talk, report);
    const participants = invite(test, talk, pods);
    const rows = test.read(diagram, 'hears');
    for (const participant of participants) if (!comesLater(participant, rows)) participant.connect();
    test.play('they heard something else', rows, () => {
      for (const participant of participants) participant.leave();
      test.pass(LINGER_MS);
      for (const [name, pod] of pods) {
        for (const room of pod.rooms) test.wrong(`${name} is still in ${room} when everybody has left`);
        pod.end();
      }
    });
    return report;
  });
}

type Pods = ReadonlyMap<string, TestPod>;

function startPods(test: VirtualTest, conversation: Conversation, { log, metrics }: Report): Pods {
  const { pods: names = ['pod'], handlers = builtInHandlers, middleware, transform, config } = conversation;
  const options = {
    config: checkConfig({ presenceMaxMembers: 0, ...config }),
    parts: { handlers, middleware, transform, runtime: test.runtime, metrics, log },
    authorize: conversation.authorize ?? authorizeByClaims,
    bus: new Subject<Publication>(),
  };
  const pods = new Map(names.map((name) => [name, new TestPod(options)]));
  test.background = () => Array.from(pods.values(), ({ timers }) => timers).reduce((sum, timers) => sum + timers, 0);
  for (const [name, pod] of pods) addRows(test, name, pod);
  return pods;
}

/** The rows of a pod. */
function addRows(test: VirtualTest, name: string, pod: TestPod): void {
  test.input(name, {
    legend: new Legend({}),
    marks: BEGIN + END + COMPLETE,
    take: ({ mark }) => {
      if (mark === END) pod.broker.break();
      else if (mark === BEGIN) pod.broker.mend();
      else pod.drain();
    },
  });
  test.subscriptionsOf(`${name} in `, (room) => pod.broker.log(room));
}

function invite(test: VirtualTest, { connections, says, hears }: Conversation, pods: Pods): readonly Participant[] {
  const shared = legends(says, hears);
  const [first = ''] = pods.keys();
  return Object.entries(connections).map(([name, { rooms = [], identity = name, claims, pod: place = first }]) => {
    const pod = pods.get(place);
    if (pod === undefined) throw new MarbleError(`${name} wants to connect to ${place}; pods: ${[...pods.keys()].join(', ')}`);
    return new Participant(test, { name, identity, rooms, claims }, pod, shared);
  });
}

function comesLater({ name }: Participant, rows: readonly Row[]): boolean {
  return rows.some((row) => row.name === name && row.marks.some(({ letter }) => letter === BEGIN));
}
