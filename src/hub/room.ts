import { BehaviorSubject, timer, type Observable, type SchedulerLike, type Subscription } from 'rxjs';
import type { Member } from './member.js';
import type { Publication } from './publication.js';

export interface RoomOptions {
  readonly name: string;
  /** Subscribes to the room at the broker (`Broker.subscribe`). */
  readonly subscribed$: Observable<boolean>;
  /** So long the broker's subscription outlives the last user, for those who come back at once. */
  readonly lingerMs: number;
  readonly scheduler: SchedulerLike;
  /** The room is no longer used nor subscribed to. */
  readonly onGone: (room: Room) => void;
}

/** One room on this pod: its members, and the broker's subscription that they share. */
export class Room {
  readonly name: string;
  readonly members = new Set<Member>();
  /** What arrived for the room in this turn. */
  arrived: Publication[] = [];
  /** The earliest timestamp of what arrived, in milliseconds since the epoch. */
  arrivedSinceMs = Infinity;
  readonly #options: RoomOptions;
  readonly #confirmed$ = new BehaviorSubject(false);
  readonly #subscription: Subscription;
  #users = 0;
  #linger: Subscription | undefined;

  constructor(options: RoomOptions) {
    this.#options = options;
    this.name = options.name;
    this.#subscription = options.subscribed$.subscribe(this.#confirmed$);
  }

  /** Whether the broker's subscription is confirmed: what is published now will arrive. */
  get confirmed$(): Observable<boolean> {
    return this.#confirmed$;
  }

  get isConfirmed(): boolean {
    return this.#confirmed$.value;
  }

  /** Keeps the subscription until `release`. */
  acquire(): void {
    this.#users += 1;
    this.#linger?.unsubscribe();
    this.#linger = undefined;
  }

  release(): void {
    this.#users -= 1;
    if (this.#users > 0) return;
    this.#linger = timer(this.#options.lingerMs, this.#options.scheduler).subscribe(() => {
      this.end();
    });
  }

  /** Leaves the broker's room at once. */
  end(): void {
    this.#linger?.unsubscribe();
    this.#subscription.unsubscribe();
    this.#options.onGone(this);
  }
}
