import type { Subscription } from 'rxjs';
import type { SeededRandom } from './seeded-random.js';
import type { Plan } from './plan.js';
import type { RedisDeployment } from './redis-deployment.js';
import type { Timeline } from '../src/testing/virtual-scheduler.js';

const NOTIFIES_EVERY_MS = 3000;

/** Some other backend service that publishes to rooms: mostly notifications, sometimes what no client may see. */
export class Service {
  readonly #redis: RedisDeployment;
  readonly #timeline: Timeline;
  readonly #random: SeededRandom;
  readonly #plan: Plan;
  #notifying: Subscription | undefined;
  #count = 0;

  constructor(redis: RedisDeployment, timeline: Timeline, random: SeededRandom, plan: Plan) {
    this.#redis = redis;
    this.#timeline = timeline;
    this.#random = random;
    this.#plan = plan;
    this.#notify();
  }

  end(): void {
    this.#notifying?.unsubscribe();
  }

  #notify(): void {
    this.#notifying = this.#timeline.schedule(() => {
      this.#publish();
      this.#notify();
    }, this.#random.wait(NOTIFIES_EVERY_MS));
  }

  #publish(): void {
    const client = this.#plan.clients[this.#random.integer(0, this.#plan.clients.length - 1)];
    const room = client?.rooms[0];
    if (room === undefined) return;
    const channel = `chat-api:room:${room}`;
    const owner = this.#redis.ownerOf(channel);
    if (!owner.isUp) return;
    const payload = this.#random.happens(0.2) ? this.#random.pick(GARBAGE) : this.#notification(room);
    const sentMs = this.#timeline.now();
    owner.serve(() => {
      owner.publish(channel, payload, { pod: undefined, sentMs });
    });
  }

  #notification(room: string): string {
    const id = `notification-${(this.#count += 1)}`;
    const timestamp = new Date(this.#timeline.now()).toISOString();
    return JSON.stringify({ id, type: 'notification', room, from: 'kitchen', data: { text: 'tea' }, timestamp });
  }
}

/** None of it has an id, so that no log has it and nobody may hear it. */
const GARBAGE: readonly [string, ...string[]] = [
  'not JSON',
  '{}',
  '[]',
  '{"type":"system","data":{"event":"gap"}}',
  '{"__proto__":{"id":"x"}}',
];
