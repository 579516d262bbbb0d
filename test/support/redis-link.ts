import { Observable, Subject, concat, ignoreElements, of, timer, type SchedulerLike } from 'rxjs';
import { RefusedError, type LinkError, type RedisLink, type RedisMessage } from '../../src/redis/link.js';

/** A link that does what a test says, in virtual time, and remembers what it was asked. */
export class ScriptedLink implements RedisLink {
  readonly message$ = new Subject<RedisMessage>();
  /** What was asked, as `{ms} {command}`. */
  readonly asked: string[] = [];
  /** What becomes of a command: it answers when this completes, and never where that is `NEVER`. */
  outcome: (command: string) => Observable<never>;
  /** What ROLE answers. */
  role = 'master';
  /** Whether what is published comes back to a channel that was subscribed to. */
  echoes = true;
  readonly moved$ = new Subject<void>();
  /** Channels that it refuses to hear; a SUBSCRIBE that names one is refused whole. */
  refused: ReadonlySet<string> = new Set();
  /** What it says then. */
  refusal = 'NOPERM No permissions to access a channel';
  #receivedBytes = 0;
  readonly #scheduler: SchedulerLike;
  readonly #channels = new Set<string>();

  constructor(scheduler: SchedulerLike, delayMs = 1) {
    this.#scheduler = scheduler;
    this.outcome = () => timer(delayMs, scheduler).pipe(ignoreElements());
  }

  publish(channel: string, payload: string, settled: (error: RefusedError | LinkError | undefined) => void): void {
    const answer$ = this.#answer(`PUBLISH ${channel} ${payload}`, () => {
      if (this.echoes && this.#channels.has(channel)) this.say(channel, payload);
      return 1;
    });
    answer$.subscribe({
      next: () => {
        settled(undefined);
      },
      error: settled,
    });
  }

  subscribe(channels: readonly string[]): Observable<unknown> {
    return started(
      this.#answer(`SUBSCRIBE ${channels.join(' ')}`, () => {
        if (channels.some((channel) => this.refused.has(channel))) throw new RefusedError(this.refusal);
        for (const channel of channels) this.#channels.add(channel);
        return channels.length;
      }),
    );
  }

  unsubscribe(channels: readonly string[]): void {
    this.asked.push(`${this.#scheduler.now()} UNSUBSCRIBE ${channels.join(' ')}`);
    for (const channel of channels) this.#channels.delete(channel);
  }

  call(command: string): Observable<unknown> {
    return started(this.#answer(command, () => [this.role]));
  }

  receivedBytes(): number {
    return this.#receivedBytes;
  }

  channels(): ReadonlySet<string> {
    return this.#channels;
  }

  /** The server takes a channel away. */
  take(channel: string): void {
    this.#channels.delete(channel);
    this.moved$.next();
  }

  /** A part of something comes. */
  trickle(): void {
    this.#receivedBytes += 1;
  }

  /** A message comes through a channel. */
  say(channel: string, payload: string): void {
    this.#receivedBytes += 1;
    this.message$.next({ channel, payload: Buffer.from(payload) });
  }

  #answer(command: string, answer: () => unknown): Observable<unknown> {
    this.asked.push(`${this.#scheduler.now()} ${command}`);
    const answered$ = new Observable((subscriber) => {
      this.#receivedBytes += 1;
      return of(answer()).subscribe(subscriber);
    });
    return concat(this.outcome(command.split(' ', 1)[0] ?? ''), answered$);
  }
}

/** A command is under way once it was called, whoever waits for its answer. */
function started(answer$: Observable<unknown>): Observable<unknown> {
  const answer = new Subject<unknown>();
  answer$.subscribe(answer);
  return answer;
}
