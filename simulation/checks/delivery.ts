import { CloseCode, type Envelope } from '../../src/protocol/protocol.js';
import type { Accepted, Connection, Fact } from '../facts.js';
import { ALL_FAULT_KINDS, type FaultKind } from '../plan.js';
import { longestWaitMs } from '../../src/operators/within.js';
import { madeMs, podSlotOf } from '../pod.js';
import { channelOf, type Check, type CheckOptions } from './check.js';

/** How far a connection is in a channel's log. */
interface Progress {
  /** When it became a member, and the first that it must hear. */
  readonly welcomeMs: number;
  readonly from: number;
  /** The last that it heard, and which of all that it heard that was. */
  last: number;
  lastHeard: number;
}

interface Told {
  readonly heard: number;
  /** By the clock of the pod that tells, or, of a slow consumer, of the pods that published what was dropped. */
  readonly sinceMs: number;
  readonly untilMs: number;
  readonly isDrop: boolean;
}

interface Listener {
  heard: number;
  /** The latest moment at which something was made that it has heard: what its pod told it before that, it has heard too. */
  heardUntilMs: number;
  readonly channels: Map<string, Progress>;
  /** What it heard of what a replica had taken, by id. */
  readonly misplaced: Set<string>;
  readonly gaps: Told[];
  /** What took longer to Redis than a gap reaches back, and was missed: their senders are told, or it is a violation. */
  readonly late: Map<Accepted, string>;
}

/** How a connection ended for its client. */
interface End {
  readonly atMs: number;
  readonly hasHeardAll: boolean;
  readonly heardUntilMs: number;
}

/** A channel, as one connection hears it. */
interface Place {
  readonly connection: Connection;
  readonly channel: string;
}

/** How often a pod asks its servers whether they are masters. */
const NOTICE_MS = 2000;

/** After these a pod is no more. */
const ENDS_A_POD: readonly FaultKind[] = ['crash', 'drain'];

/** After these it has other connections, and cannot know what its last server was where no sentinel tells (docs/operations.md). */
const HIDES_A_DEMOTION = ALL_FAULT_KINDS.filter((kind) => kind !== 'demotion' && kind !== 'stall');

/** So long a publication may take from Redis to a client when nothing is wrong. */
const WAY_MS = 1000;

/** Each publication reaches each member once and in order, or a gap covers it, or the connection ends. */
export class DeliveryCheck implements Check {
  readonly #options: CheckOptions;
  readonly #listeners = new Map<Connection, Listener>();
  /** Who said what, by id. */
  readonly #senders = new Map<string, Connection>();
  /** Messages of which their senders were told that they failed, or may have. */
  readonly #failed = new Set<string>();
  /** Presence of which its pod knows that it may have failed: the pod tells the room again, which is for the presence check. */
  readonly #unconfirmed = new Set<string>();
  readonly #ends = new Map<Connection, End>();
  /** Channels of which a replica took something: the logs of all others need not be searched for that. */
  readonly #doubtful = new Set<string>();
  /** Late messages that were missed, by their senders, who have not read so far that they can have heard of it. */
  readonly #unread = new Map<Connection, Map<Accepted, string>>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    if (fact.kind === 'said') this.#senders.set(fact.id, fact.connection);
    else if (fact.kind === 'heard') this.#hear(fact.connection, fact.message, fact.writtenMs);
    else if (fact.kind === 'accepted') this.#accept(fact, nowMs);
    else if (fact.kind === 'ended') this.#end(fact, nowMs);
    else if (fact.kind === 'publishing') this.#publish(fact);
  }

  /** A replica, or a master that was replaced and does not know it, takes what it should not, and a pod has to find that out. What becomes of it is judged at each listener's end. */
  #accept({ channel, accepted: { counts, id } }: Fact & { readonly kind: 'accepted' }, nowMs: number): void {
    const { environment, report } = this.#options;
    if (counts) return;
    this.#doubtful.add(channel);
    if (!environment.hadFault(-1, nowMs, nowMs, ['demotion', 'failover', 'bus-cut']))
      report(`${id} was published at a replica, long after it had become one`);
  }

  #publish({ id, clientId, change, isAnswered }: Fact & { readonly kind: 'publishing' }): void {
    if (clientId !== undefined && change < 0 && !isAnswered) this.#unconfirmed.add(id);
  }

  #hear(connection: Connection, message: Envelope, writtenMs: number): void {
    const listener = this.#listenerOf(connection);
    listener.heard += 1;
    if (message.type === 'system') this.#hearSystem(connection, listener, message, writtenMs);
    else if (message.type === 'error') this.#hearError(listener, message);
    else if (message.type !== 'pong') this.#advance(connection, listener, message);
  }

  #hearError(listener: Listener, { data, id }: Envelope): void {
    this.#failed.add((data as { readonly ref?: string }).ref ?? '');
    heardUntil(listener, madeMs({ id }));
  }

  #hearSystem(connection: Connection, listener: Listener, { data, id }: Envelope, writtenMs: number): void {
    const { event, reason, since } = data as { event?: string; reason?: string; since?: string };
    // A slow consumer's gap goes before what was in the buffer when it was made.
    if (reason !== 'slow_consumer') heardUntil(listener, madeMs({ id }));
    if (event === 'welcome') {
      const welcomeMs = madeMs({ id });
      for (const room of ['', ...connection.client.rooms]) this.#enter(listener, channelOf(room), welcomeMs);
    } else if (event === 'gap') {
      // A slow consumer's gap stands for all that was dropped until it went out.
      const isDrop = reason === 'slow_consumer';
      const untilMs = isDrop ? writtenMs : madeMs({ id });
      listener.gaps.push({ heard: listener.heard, sinceMs: Date.parse(since ?? ''), untilMs, isDrop });
    }
  }

  #enter(listener: Listener, channel: string, welcomeMs: number): void {
    const log = this.#logOf(channel);
    let from = log.length;
    while ((log[from - 1]?.atMs ?? -Infinity) > welcomeMs) from -= 1;
    listener.channels.set(channel, { welcomeMs, from, last: -1, lastHeard: listener.heard });
  }

  #advance(connection: Connection, listener: Listener, { id, room, type }: Envelope): void {
    const { redis, report } = this.#options;
    const channel = channelOf(room);
    const position = redis.position(channel, id);
    const progress = listener.channels.get(channel);
    if (position === undefined) {
      report(`received ${type} ${id} on ${channel}, which nobody published there`, connection);
    } else if (progress !== undefined) {
      const heard = this.#logOf(channel)[position];
      heardUntil(listener, heard?.atMs ?? -Infinity);
      // What a replica passed on has no place among what the master did.
      if (heard?.counts === false) {
        listener.misplaced.add(id);
        return;
      }
      if (position <= progress.last)
        report(`received ${id}, number ${position} of ${channel}, after number ${progress.last}`, connection);
      for (const missed of this.#missed(listener, progress, { connection, channel, position })) {
        report(`never received ${describe(missed)} of ${channel}, nor a gap before ${id}`, connection);
      }
      progress.last = Math.max(progress.last, position);
      progress.lastHeard = listener.heard;
    }
  }

  #end({ connection, unread, code }: Fact & { kind: 'ended' }, nowMs: number): void {
    const listener = this.#listeners.get(connection);
    this.#listeners.delete(connection);
    // Who did not read can't know, and a slow consumer's close is late by as much as it was slow.
    const hasHeardAll = unread === 0 && code !== CloseCode.slowConsumer;
    this.#ends.set(connection, { atMs: nowMs, hasHeardAll, heardUntilMs: listener?.heardUntilMs ?? -Infinity });
    this.#judgeLate(this.#unread.get(connection) ?? [], nowMs);
    this.#unread.delete(connection);
    if (listener && hasHeardAll) this.#judge(connection, listener, nowMs);
  }

  /** At the end of a connection that has heard all it could. */
  #judge(connection: Connection, listener: Listener, nowMs: number): void {
    const { environment, report } = this.#options;
    for (const [channel, progress] of listener.channels) {
      for (const missed of this.#missed(listener, progress, { connection, channel, position: this.#logOf(channel).length })) {
        if (missed.atMs + WAY_MS >= nowMs) break;
        if (nowMs <= environment.calmFrom(missed.atMs, connection.pod.slot) + WAY_MS) continue;
        report(`never received ${describe(missed)} of ${channel}, and got no error for ${nowMs - missed.atMs} ms`, connection);
        break;
      }
      for (const missed of this.#misplaced(listener, progress, { connection, channel })) {
        if (this.#isExcused(missed, connection, nowMs)) continue;
        report(`never received ${describe(missed)} of ${channel}, which a replica had taken, nor any gap about it`, connection);
        break;
      }
    }
    this.#judgeLate(listener.late, nowMs);
  }

  #judgeLate(lates: Iterable<readonly [late: Accepted, channel: string]>, nowMs: number): void {
    for (const [late, channel] of lates) {
      if (this.#isExcusedAsLate(late, nowMs) || this.#isLeftUnread(late, channel)) continue;
      this.#options.report(
        `never received ${describe(late)} of ${channel}, and no gap reaches back the ${late.atMs - late.publishedMs} ms that it took`,
      );
      break;
    }
  }

  /** Its sender was told, or there is nobody to tell, or the pod stood still while it was under way. */
  #isExcusedAsLate(late: Accepted, nowMs: number): boolean {
    const { type, publishedMs, atMs } = late;
    if (type === 'presence' || this.#isAnnounced(late) || nowMs <= this.#answeredMs(late)) return true;
    return this.#options.environment.befell(podSlotOf(late), [...ENDS_A_POD, 'stall'], publishedMs, atMs);
  }

  /**
   * Its sender does not read: it has heard neither the message nor anything that was made after the error was due, and its connection
   * ended with more to read. While the connection lasts the sender may still read the error, and the message is judged at its end.
   */
  #isLeftUnread(late: Accepted, channel: string): boolean {
    const sender = this.#senders.get(late.id);
    if (sender === undefined) return false;
    const end = this.#ends.get(sender);
    const { heardUntilMs = Infinity } = end ?? this.#listeners.get(sender) ?? {};
    if (heardUntilMs >= Math.min(this.#answeredMs(late), late.atMs)) return false;
    if (end) {
      if (!end.hasHeardAll) this.#options.excuse('a late message whose sender did not read the error');
      return !end.hasHeardAll;
    }
    const unread = this.#unread.get(sender) ?? new Map<Accepted, string>();
    this.#unread.set(sender, unread.set(late, channel));
    return true;
  }

  /** When its sender must have been told of it, at the latest. */
  #answeredMs({ publishedMs }: Accepted): number {
    return publishedMs + longestWaitMs(this.#options.config.publishTimeoutMs) + WAY_MS;
  }

  /** What a replica took, and it neither heard nor was told of later. */
  *#misplaced({ gaps, misplaced }: Listener, { welcomeMs, from }: Progress, { connection, channel }: Place): Generator<Accepted> {
    if (!this.#doubtful.has(channel)) return;
    for (const accepted of this.#logOf(channel).slice(from)) {
      if (accepted.counts || misplaced.has(accepted.id) || accepted.publishedMs < welcomeMs) continue;
      // What was said before a gap was told is in it, however long it was on its way to the replica.
      const said = { ...accepted, atMs: accepted.publishedMs };
      const isCovered = (gap: Told) =>
        this.#covers(gap, accepted, connection) ||
        this.#covers(gap, said, connection) ||
        this.#coversArrival(gap, accepted, connection);
      if (!gaps.some(isCovered)) yield accepted;
    }
  }

  /** It may yet be told; or the pod that said it to the replica could not find out that it was one, for something else befell it. */
  #isExcused(accepted: Accepted, { pod }: Connection, nowMs: number): boolean {
    const { environment, config, plan } = this.#options;
    const { publishedMs, atMs } = accepted;
    if (this.#isAnnounced(accepted)) return true;
    const hides = plan.redis === 'single' ? HIDES_A_DEMOTION : ENDS_A_POD;
    if (nowMs <= environment.calmFrom(atMs, pod.slot) + WAY_MS) return true;
    const noticedMs = NOTICE_MS + config.publishTimeoutMs;
    return environment.befell(podSlotOf(accepted), hides, publishedMs - noticedMs, atMs + noticedMs);
  }

  /**
   * Its sender got an error about it, or lost its connection too soon to get one: it took its time on the way to the replica. Presence
   * has its pod for a sender, and its error is the end of a publish that Redis did not answer.
   */
  #isAnnounced({ id, type, atMs }: Accepted): boolean {
    if (type === 'presence') return this.#unconfirmed.has(id);
    const sender = this.#senders.get(id);
    const endedMs = sender === undefined ? Infinity : (this.#ends.get(sender)?.atMs ?? Infinity);
    return this.#failed.has(id) || endedMs <= atMs + this.#options.config.publishTimeoutMs;
  }

  /** What should have come between the last and a position, and no gap excuses. */
  *#missed(
    { gaps, late }: Listener,
    { from, last, lastHeard }: Progress,
    { connection, channel, position }: Place & { readonly position: number },
  ): Generator<Accepted> {
    const first = Math.max(from, last + 1);
    // Nearly always.
    if (first >= position) return;
    const log = this.#logOf(channel);
    const since = gaps.filter(({ heard }) => heard > lastHeard);
    for (let at = first; at < position; at++) {
      const missed = log[at];
      if (!missed?.counts || since.some((gap) => this.#covers(gap, missed, connection))) continue;
      if (since.some((gap) => this.#coversArrival(gap, missed, connection))) late.set(missed, channel);
      else yield missed;
    }
  }

  /**
   * docs/protocol.md: nothing older than `since` is missing; and a gap can't speak of what comes after it. A message is as old as the
   * clock of the pod that tells had it when it was published; other pods' clocks show anything.
   */
  #covers({ sinceMs, untilMs, isDrop }: Told, { publishedMs, timestampMs, atMs }: Accepted, { pod }: Connection): boolean {
    if (atMs > untilMs) return false;
    const shownMs = this.#options.clocks[pod.slot]?.latestAt(publishedMs, untilMs) ?? publishedMs;
    return sinceMs <= (isDrop ? Math.max(shownMs, timestampMs) : shownMs);
  }

  /** It does but for the time that the message was under way to Redis: what took longer than a confirmed publish can, its sender is told. */
  #coversArrival(gap: Told, missed: Accepted, connection: Connection): boolean {
    const mostUnderWayMs = longestWaitMs(this.#options.config.publishTimeoutMs);
    const publishedMs = Math.max(missed.publishedMs, missed.atMs - mostUnderWayMs);
    return this.#covers(gap, { ...missed, publishedMs }, connection);
  }

  #listenerOf(connection: Connection): Listener {
    const listener = this.#listeners.get(connection) ?? {
      heard: 0,
      heardUntilMs: -Infinity,
      channels: new Map<string, Progress>(),
      misplaced: new Set<string>(),
      gaps: [],
      late: new Map<Accepted, string>(),
    };
    this.#listeners.set(connection, listener);
    return listener;
  }

  #logOf(channel: string): readonly Accepted[] {
    return this.#options.redis.log.get(channel) ?? [];
  }
}

function heardUntil(listener: Listener, madeAtMs: number): void {
  listener.heardUntilMs = Math.max(listener.heardUntilMs, madeAtMs);
}

function describe({ type, id, publishedMs }: Accepted): string {
  return `${type} ${id} (of ${new Date(publishedMs).toISOString()})`;
}
