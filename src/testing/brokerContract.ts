import assert from 'node:assert/strict';
import { firstValueFrom, lastValueFrom, toArray } from 'rxjs';
import { PublishError, RoomRefusedError, type Broker } from '../broker/broker.js';
import { GLOBAL_ROOM } from '../protocol/protocol.js';
import { Listener, PATIENCE_MS, type Noticed } from './broker-listener.js';

/** What a case is played on: made for it alone, and ended after it. */
export interface ContractSetup {
  /** Two brokers that share one medium, which nobody else uses. Nothing has subscribed to them yet. */
  readonly pods: readonly [Broker, Broker];
  /** How their subscriptions can be lost; absent where they never are, and then the cases about it check nothing. */
  readonly outage?: Outage;
  /**
   * From now on the medium refuses a room to both pods, which have not subscribed to it; rooms that they have stay theirs. Absent where
   * it never refuses one, and then the case about it checks nothing.
   */
  readonly refuse?: (room: string) => Promise<void>;
  /** Called when the case has unsubscribed from both brokers, whatever came of it. */
  end(): Promise<void>;
}

export interface Outage {
  /** Both pods lose their subscriptions. Resolves when that has happened, even if the pods don't know yet. */
  break(): Promise<void>;
  /** Both can subscribe again. */
  mend(): Promise<void>;
}

/** A behaviour that every broker has. */
export interface ContractCase {
  /** What is so, to be read after "a broker:". */
  readonly name: string;
  /** Resolves when it is so; rejects with an `AssertionError` otherwise, at the latest when something has not come for the patience. */
  readonly run: () => Promise<void>;
}

/** Two pods, and what their medium can suffer. */
interface Scene {
  readonly ada: Listener;
  readonly ben: Listener;
  readonly outage: Outage | undefined;
  readonly refuse: ContractSetup['refuse'];
}

const ROOM = 'tea';

/**
 * The rules of `Broker` as cases for any test runner: what the rest of the service relies on, and all it relies on.
 *
 * @example
 * for (const { name, run } of brokerContract(createPods)) test(name, run);
 *
 * @param createPods makes the pods of one case; what it rejects with, `run` rejects with
 * @param options `patienceMs`: what should come is waited for so long; 10 s where absent
 */
export function brokerContract(
  createPods: () => Promise<ContractSetup>,
  { patienceMs = PATIENCE_MS }: { readonly patienceMs?: number } = {},
): readonly ContractCase[] {
  return Object.entries(cases).map(([name, check]) => ({ name, run: () => play(check, createPods, patienceMs) }));
}

async function play(
  check: (scene: Scene) => Promise<void>,
  createPods: () => Promise<ContractSetup>,
  patienceMs: number,
): Promise<void> {
  const setup = await createPods();
  const [ada, ben] = [new Listener(setup.pods[0], patienceMs), new Listener(setup.pods[1], patienceMs)];
  try {
    for (const pod of [ada, ben]) await pod.until('the status up', () => pod.isWhole);
    await check({ ada, ben, outage: setup.outage, refuse: setup.refuse });
  } finally {
    ada.end();
    ben.end();
    await setup.end();
  }
}

const cases: Readonly<Record<string, (scene: Scene) => Promise<void>>> = {
  'its status is told at once, and becomes up': async ({ ada, ben }) => {
    for (const pod of [ada, ben]) {
      assert.equal(pod.noticed[0]?.kind, 'status');
      assert.deepEqual(pod.status, { up: true });
      assert.deepEqual(await firstValueFrom(pod.broker.status$), { up: true });
    }
  },

  'a subscription is confirmed once': async ({ ada }) => {
    await ada.join(ROOM);
    await ada.publish(ROOM, 'later');
    await ada.hears(ROOM, 'later');
    assert.deepEqual(confirmations(ada, ROOM), [true]);
  },

  'no gap is told where nothing was lost': async ({ ada, ben }) => {
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await everybodyHears([ada, ben], ROOM, 'hello');
    for (const pod of [ada, ben])
      assert.deepEqual(
        pod.noticed.filter(({ kind }) => kind === 'gap'),
        [],
      );
  },

  'a publish completes without a value, whether somebody listens or not': async ({ ada }) => {
    await ada.join(ROOM);
    for (const room of ['nobody is here', ROOM]) {
      const values$ = ada.broker.publish(room, 'hello').pipe(toArray());
      assert.deepEqual(await firstValueFrom(values$), []);
    }
    await ada.hears(ROOM, 'hello');
  },

  'a publish happens once for each time it is subscribed to, and not before': async ({ ada }) => {
    await ada.join(ROOM);
    ada.broker.publish(ROOM, 'never subscribed to');
    const twice$ = ada.broker.publish(ROOM, 'twice');
    await lastValueFrom(twice$, { defaultValue: undefined });
    await lastValueFrom(twice$, { defaultValue: undefined });
    await everybodyHears([ada], ROOM, 'end');
    assert.deepEqual(ada.texts(ROOM), ['twice', 'twice', 'end']);
  },

  'what one pod publishes reaches both that subscribed, the publisher too, once': async ({ ada, ben }) => {
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await ada.publish(ROOM, 'from ada');
    await Promise.all([ada.hears(ROOM, 'from ada'), ben.hears(ROOM, 'from ada')]);
    await ben.publish(ROOM, 'from ben');
    await everybodyHears([ada, ben], ROOM, 'end');
    assert.deepEqual(ada.texts(ROOM), ['from ada', 'from ben', 'end']);
    assert.deepEqual(ben.texts(ROOM), ['from ada', 'from ben', 'end']);
  },

  'a room has one order for all, and each publisher its own within it': async ({ ada, ben }) => {
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    const rounds = numbers(500);
    await Promise.all(rounds.flatMap((nth) => [ada.publish(ROOM, `ada ${nth}`), ben.publish(ROOM, `ben ${nth}`)]));
    await everybodyHears([ada, ben], ROOM, 'end');
    assert.deepEqual(ada.texts(ROOM), ben.texts(ROOM));
    assert.equal(ada.texts(ROOM).length, 1001);
    for (const name of ['ada', 'ben']) {
      const own = ada.texts(ROOM).filter((text) => text.startsWith(name));
      assert.deepEqual(
        own,
        rounds.map((nth) => `${name} ${nth}`),
      );
    }
  },

  'rooms stay apart': async ({ ada, ben }) => {
    await Promise.all([ada.join('tea'), ben.join('coffee')]);
    for (const nth of numbers(20)) {
      await ada.publish('coffee', `coffee ${nth}`);
      await ben.publish('tea', `tea ${nth}`);
    }
    await Promise.all([ada.hears('tea', 'tea 19'), ben.hears('coffee', 'coffee 19')]);
    assert.deepEqual(
      publications(ada),
      numbers(20).map((nth) => ['tea', `tea ${nth}`]),
    );
    assert.deepEqual(
      publications(ben),
      numbers(20).map((nth) => ['coffee', `coffee ${nth}`]),
    );
  },

  'the global room is a room like the others': async ({ ada, ben }) => {
    await Promise.all([ada.join(GLOBAL_ROOM), ben.join(GLOBAL_ROOM), ben.join(ROOM)]);
    await ben.publish(ROOM, 'in the room');
    await ben.publish(GLOBAL_ROOM, 'to everybody');
    await everybodyHears([ada, ben], GLOBAL_ROOM, 'end');
    await ben.hears(ROOM, 'in the room');
    for (const pod of [ada, ben]) assert.deepEqual(pod.texts(GLOBAL_ROOM), ['to everybody', 'end']);
    assert.deepEqual(ada.texts(ROOM), []);
  },

  'nothing comes from a room before it is subscribed to': async ({ ada, ben }) => {
    await ben.join(ROOM);
    await ada.publish(ROOM, 'too early for ada');
    await ben.hears(ROOM, 'too early for ada');
    await ada.join(ROOM);
    await everybodyHears([ada, ben], ROOM, 'end');
    assert.deepEqual(ada.texts(ROOM), ['end']);
  },

  'nothing comes from a room after unsubscribing, until it is subscribed to again': async ({ ada, ben }) => {
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await everybodyHears([ada, ben], ROOM, 'before');
    ada.leave(ROOM);
    await ben.publish(ROOM, 'between');
    await ben.hears(ROOM, 'between');
    await ada.join(ROOM);
    await everybodyHears([ada, ben], ROOM, 'after');
    assert.deepEqual(ada.texts(ROOM), ['before', 'after']);
    assert.deepEqual(ben.texts(ROOM), ['before', 'between', 'after']);
  },

  'leaving a room and coming back at once is being in it': async ({ ada, ben }) => {
    await ada.join(ROOM);
    for (const nth of numbers(20)) {
      ada.leave(ROOM);
      await ada.join(ROOM);
      await ben.publish(ROOM, `${nth}`);
      await ada.hears(ROOM, `${nth}`);
    }
    assert.deepEqual(ada.texts(ROOM), numbers(20).map(String));
  },

  'the bytes of a payload come through untouched': async ({ ada, ben }) => {
    await ben.join(ROOM);
    const payloads = ['', '{"a":1}', 'line\r\nline\n\0end', 'žluťoučký 茶 🍵 \u{10ffff}', 'x'.repeat(65536), '🍵'.repeat(16384)];
    for (const payload of payloads) await ada.publish(ROOM, payload);
    await everybodyHears([ben], ROOM, 'end');
    const came = ben.noticed.filter((one) => one.kind === 'publication').map(({ payload }) => payload);
    assert.deepEqual(
      came.slice(0, -1).map((bytes) => bytes.toString('base64')),
      payloads.map((payload) => Buffer.from(payload, 'utf8').toString('base64')),
    );
  },

  'a room is its name, whatever characters are in it': async ({ ada, ben }) => {
    const names = ['*', 't?a', '[a-z]', '{tea}', '\\', 'a b', 'a:b', 'room:tea', 'global', '%20', "it's", '"tea"', '🍵', '茶'];
    const all = [...names, '__proto__', 'constructor', 'TEA', 'tea'];
    await Promise.all(all.map((name) => ada.join(name)));
    for (const name of all) await ben.publish(name, `to ${name}`);
    for (const name of all) await ada.hears(name, `to ${name}`);
    assert.deepEqual(publications(ada).sort(), all.map((name) => [name, `to ${name}`]).sort());
  },

  'a room that is refused errors with a RoomRefusedError, and costs no other room anything': async ({ ada, ben, refuse }) => {
    if (refuse === undefined) return;
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await everybodyHears([ada, ben], ROOM, 'before');
    await refuse('refused');
    for (const pod of [ada, ben]) await assert.rejects(pod.join('refused'), RoomRefusedError);
    await everybodyHears([ada, ben], ROOM, 'after');
    for (const pod of [ada, ben]) {
      assert.deepEqual(pod.texts(ROOM), ['before', 'after']);
      assert.deepEqual(confirmations(pod, ROOM), [true]);
      assert.ok(pod.isWhole && pod.noticed.every(({ kind }) => kind !== 'gap'));
    }
  },

  'a lost subscription is told, replaced, and told by a gap before anything else comes': async ({ ada, ben, outage }) => {
    if (outage === undefined) return;
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await everybodyHears([ada, ben], ROOM, 'before');
    const [brokenMs, seen] = [Date.now(), ada.noticed.length];
    await outage.break();
    await outage.mend();
    for (const pod of [ada, ben]) await backAgain(pod);
    for (const nth of numbers(20)) await ben.publish(ROOM, `after ${nth}`);
    await everybodyHears([ada, ben], ROOM, 'end');
    const after = ['before', ...numbers(20).map((nth) => `after ${nth}`), 'end'];
    for (const pod of [ada, ben]) assert.deepEqual(pod.texts(ROOM), after);
    const told = ada.noticed.slice(seen).filter(({ kind }) => kind !== 'status');
    assert.deepEqual(told.slice(0, 4).map(inAWord), ['lost', 'gap', 'confirmed', 'publication']);
    assert.ok(told.every((one) => one.kind !== 'gap' || (one.sinceMs <= brokenMs && (one.rooms?.has(ROOM) ?? true))));
  },

  'a publish during an outage fails with a PublishError, if it fails': async ({ ada, ben, outage }) => {
    if (outage === undefined) return;
    await Promise.all([ada.join(ROOM), ben.join(ROOM)]);
    await outage.break();
    const failures = await Promise.all(
      numbers(20).map((nth) =>
        ada.publish(ROOM, `during ${nth}`).then(
          () => undefined,
          (error: unknown) => error,
        ),
      ),
    );
    await outage.mend();
    for (const error of failures)
      assert.ok(error === undefined || error instanceof PublishError, `it fails with ${String(error)}`);
  },

  'an outage loses no subscription and brings back none that was left': async ({ ada, ben, outage }) => {
    if (outage === undefined) return;
    const rooms = numbers(50).map((nth) => `room ${nth}`);
    await Promise.all([...rooms, 'left before', 'left meanwhile'].map((room) => ada.join(room)));
    await ben.join(ROOM);
    ada.leave('left before');
    await outage.break();
    ada.leave('left meanwhile');
    const joinedMeanwhile = ada.join('joined meanwhile');
    await outage.mend();
    await joinedMeanwhile;
    for (const pod of [ada, ben]) await backAgain(pod);
    for (const room of ['left before', 'left meanwhile', 'joined meanwhile', ...rooms]) await ben.publish(room, room);
    for (const room of ['joined meanwhile', ...rooms]) await ada.hears(room, room);
    assert.deepEqual(publications(ada).sort(), ['joined meanwhile', ...rooms].map((room) => [room, room]).sort());
  },
};

/** Fences a room: what was published before a text that has arrived has arrived too. */
async function everybodyHears(pods: readonly [Listener, ...Listener[]], room: string, text: string): Promise<void> {
  await pods[0].publish(room, text);
  await Promise.all(pods.map((pod) => pod.hears(room, text)));
}

/** Resolves when a pod in at least one room has noticed the outage and got over it. */
async function backAgain(pod: Listener): Promise<void> {
  await pod.until('the gap', () => pod.noticed.some(({ kind }) => kind === 'gap'));
  await pod.until('the end of the outage', () => pod.isWhole);
}

function confirmations(pod: Listener, room: string): boolean[] {
  return pod.noticed.flatMap((one) => (one.kind === 'confirmation' && one.room === room ? [one.confirmed] : []));
}

function publications(pod: Listener): [room: string, text: string][] {
  return pod.noticed.flatMap((one): [string, string][] =>
    one.kind === 'publication' ? [[one.room, one.payload.toString('utf8')]] : [],
  );
}

function inAWord(one: Noticed): string {
  if (one.kind !== 'confirmation') return one.kind;
  return one.confirmed ? 'confirmed' : 'lost';
}

function numbers(count: number): readonly number[] {
  return Array.from({ length: count }, (_, nth) => nth);
}
