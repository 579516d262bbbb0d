import { Legend } from '../diagram/legend.js';
import { MarbleError } from '../diagram/marble-error.js';
import { BEGIN, END } from '../diagram/rows.js';
import { describeHeard, expectation, type Heard } from '../heard.js';
import { frameOf, type Said } from '../said.js';
import type { Recording, VirtualTest } from '../virtual-test.js';
import type { TestClient } from './test-client.js';
import type { Caller, TestPod } from './test-pod.js';

/** What the letters of all connections' rows stand for. */
export interface Legends {
  readonly says: Legend;
  readonly hears: Legend;
}

export function legends(
  says: Readonly<Record<string, Said>> | undefined,
  hears: Readonly<Record<string, Heard>> | undefined,
): Legends {
  const heard = Object.entries(hears ?? {}).map(([letter, value]) => [letter, expectation(value)]);
  return { says: new Legend(says ?? {}), hears: new Legend(Object.fromEntries(heard) as Record<string, unknown>, describeHeard) };
}

/** A connection of a conversation, as its rows: who comes, talks, listens and goes. */
export class Participant {
  readonly name: string;
  readonly #caller: Caller;
  readonly #pod: TestPod;
  readonly #hears: Recording;
  #client: TestClient | undefined;
  /** It has gone by itself. */
  #hasLeft = false;

  constructor(test: VirtualTest, caller: Caller, pod: TestPod, { says, hears }: Legends) {
    this.name = caller.name;
    this.#caller = caller;
    this.#pod = pod;
    this.#hears = test.output(`${caller.name} hears`, hears);
    test.input(caller.name, {
      legend: says,
      marks: BEGIN + END,
      take: ({ mark, value }) => {
        if (mark === BEGIN) this.connect();
        else if (mark === END) this.leave();
        else this.#say(value as Said);
      },
    });
    test.input(`${caller.name} reads`, {
      legend: new Legend({}),
      marks: BEGIN + END,
      take: ({ mark }) => {
        this.#client?.take(mark === BEGIN);
      },
    });
  }

  /** @throws MarbleError where it is there already, or may not */
  connect(): void {
    if (this.#client?.isOver === false) throw new MarbleError(`${this.name} is connected already`);
    this.#hasLeft = false;
    this.#client = this.#pod.connect(this.#caller, this.#hears.value);
  }

  /** Its socket is gone. */
  leave(): void {
    this.#hasLeft = true;
    this.#client?.terminate();
  }

  #say(said: Said): void {
    if (this.#client === undefined || this.#hasLeft) throw new MarbleError(`${this.name} says something, but is not connected`);
    // Whom the server has closed may not know it yet.
    this.#client.say(frameOf(said));
  }
}
