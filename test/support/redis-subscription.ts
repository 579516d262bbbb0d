import { EMPTY, Observable, Subject, concat, of, timer } from 'rxjs';
import type { TestScheduler } from 'rxjs/testing';
import { PublishError, RoomRefusedError } from '../../src/broker/broker.js';
import { roomChannels } from '../../src/redis/channels.js';
import { Canary } from '../../src/redis/liveness/canary.js';
import { isMaster$ } from '../../src/redis/liveness/master.js';
import { RedisSubscription } from '../../src/redis/subscription.js';
import { silentLogger } from '../../src/runtime/log.js';
import { marbles, virtualRuntime } from './marbles.js';
import { ScriptedLink } from './redis-link.js';

const TIMEOUT_MS = 300;
/** A confirmed publish takes at most this long, in a process that never stands still. */
export const LONGEST_PUBLISH_MS = 375;

/** A subscription in virtual time. Its canaries are published through its own link. */
export class Scene {
  readonly link: ScriptedLink;
  readonly subscription: RedisSubscription;
  readonly publishable$ = new Subject<void>();
  /** The error of publishing a canary; undefined if Redis accepts it. */
  refusal: string | undefined;
  /** Whether it is known who is the master. */
  isKnown = true;
  /** The offset of the wall clock. */
  readonly clock = { offMs: 0 };
  /** The events, as `{ms} {event}`. */
  readonly log: string[] = [];
  readonly scheduler: TestScheduler;
  /** The channels in logged warnings. */
  readonly warned: string[] = [];
  /** Divides channels into the batches of one SUBSCRIBE each. */
  batches: (channels: readonly string[]) => readonly (readonly string[])[] = (channels) => [channels];

  constructor(scheduler: TestScheduler) {
    const runtime = { ...virtualRuntime(scheduler), wallMs: () => scheduler.now() + this.clock.offMs };
    this.scheduler = scheduler;
    this.link = new ScriptedLink(scheduler);
    const canary = new Canary({
      channel: () => 'test:canary:pod',
      publish: (channel, payload) => this.#publish(channel, payload),
      timeoutMs: TIMEOUT_MS,
      time: runtime,
    });
    this.subscription = new RedisSubscription({
      time: runtime,
      channels: roomChannels('test'),
      canary,
      publishable$: this.publishable$,
      verify: (link) => concat(isMaster$(link, TIMEOUT_MS, runtime), this.isKnown ? EMPTY : of('unknown' as const)),
      announcementChannel: 'test:misplaced',
      timeoutMs: TIMEOUT_MS,
      log: Object.assign(Object.create(silentLogger) as typeof silentLogger, {
        warn: ({ channel }: { channel?: string }) => {
          if (channel !== undefined) this.warned.push(channel);
        },
      }),
      onLostCanary: (lastArrived) => {
        this.#note(`lost canary, the last arrived was of ${lastArrived?.ms ?? 'never'}`);
      },
      batches: (channels) => this.batches(channels),
      isElsewhere: () => false,
    });
    this.subscription.status$.subscribe((status) => {
      this.#note(status.up ? 'up' : `down: ${status.reason}`);
    });
  }

  /** Starts a session on the link, which ends by itself or by `unsubscribe`. */
  start() {
    return this.subscription.session$(this.link).subscribe({
      next: (event) => {
        this.#note(
          event.kind === 'gap'
            ? `gap since ${event.sinceMs} in ${[...(event.rooms ?? ['all'])].join()}`
            : `received ${event.room}`,
        );
      },
      error: (error: Error) => {
        this.#note(`ended: ${error.message}`);
      },
    });
  }

  join(room: string) {
    return this.subscription.subscribe(room).subscribe({
      next: (confirmed) => {
        this.#note(`${room} ${confirmed ? 'confirmed' : 'lost'}`);
      },
      error: (error: unknown) => {
        this.#note(`${room} ${error instanceof RoomRefusedError ? 'refused' : String(error)}`);
      },
    });
  }

  at(ms: number, act: () => void): void {
    timer(ms, this.scheduler).subscribe(act);
  }

  /** The events before a time. */
  until(ms: number): readonly string[] {
    this.scheduler.maxFrames = ms;
    this.scheduler.flush();
    return this.log;
  }

  /** Ends a session at a time and starts the next. Returns the `since` of its gap. */
  sinceOfBreakAt(ms: number): number {
    this.join('tea');
    const session = this.start();
    this.at(ms, () => {
      session.unsubscribe();
      this.start();
    });
    const gap = this.until(ms + 500).find((line) => line.includes('gap since'));
    return Number(/since (-?\d+)/.exec(gap ?? '')?.[1]);
  }

  get canaries(): readonly string[] {
    return this.link.asked.filter((asked) => asked.includes('PUBLISH'));
  }

  #publish(channel: string, payload: string): Observable<never> {
    return new Observable((subscriber) => {
      if (this.refusal !== undefined) subscriber.error(new PublishError('unavailable', this.refusal));
      else
        this.link.publish(channel, payload, () => {
          subscriber.complete();
        });
    });
  }

  #note(what: string): void {
    this.log.push(`${this.scheduler.now()} ${what}`);
  }
}

export function scene(play: (scene: Scene) => void): void {
  marbles((_, scheduler) => {
    play(new Scene(scheduler));
  });
}

/** A reply after a millisecond. */
export function replyOf(it: Scene): Observable<never> {
  return new ScriptedLink(it.scheduler).outcome('');
}
