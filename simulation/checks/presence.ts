import type { Accepted, Fact, PodName } from '../facts.js';
import type { Check, CheckOptions } from './check.js';

/** A change takes at most this long to Redis and back where all is calm: a client that vanished long ago may be given up just then. */
const UNDER_WAY_MS = 100;

type Status = 'online' | 'offline';

interface Told {
  /** The last status that Redis took, but for what was overtaken; and when that was sent. */
  told: Status | undefined;
  toldSentMs: number;
}

/** The presence of one connection in one room. */
interface Presence extends Told {
  /** The last status that the room was to be told; undefined where it was too busy for that. */
  status: Status | undefined;
  /** The number of its publishes that Redis may still take or may have taken: under way, or ended unconfirmed. */
  unsettled: number;
  /** When it changed last. */
  changedMs: number;
  hasLeft: boolean;
}

/** What a pod has to tell. */
interface Teller {
  readonly name: PodName;
  /** By connection and room. */
  readonly presences: Map<string, Presence>;
  lost: number;
  waiting: number;
  mostWaited: number;
  hasStopped: boolean;
}

/**
 * Each change of presence is told or counted as lost: once all is calm, rooms know the last status of each connection. No more waits
 * than there are members, and former members that rooms know of or may yet hear of. Nobody is told of who is closed by a drain. Each is told with its identity.
 *
 * A status whose publish ended unconfirmed may reach Redis after a later one that was sent when that had ended: the pod cannot know
 * (docs/decisions.md). It does not count as told, and is counted as excused. Nor does one that a replica took: the pod has to tell it
 * again.
 */
export class PresenceCheck implements Check {
  readonly #options: CheckOptions;
  /** Pods by their life; those that were killed or closed are gone. */
  readonly #tellers = new Map<number, Teller>();
  readonly #gone = new Set<number>();
  readonly #presences = new Map<string, Presence>();
  /** Of presence that Redis had not answered when its connection was lost: when that was, by id. Redis may yet take it. */
  readonly #unconfirmed = new Map<string, number>();
  /** By id of what a replica took while it was under way: what had been told before. */
  readonly #misplaced = new Map<string, Told>();

  constructor(options: CheckOptions) {
    this.#options = options;
  }

  observe(fact: Fact, nowMs: number): void {
    if ('pod' in fact && this.#gone.has(fact.pod.life)) return;
    if (fact.kind === 'member') this.#change(fact, nowMs);
    else if (fact.kind === 'accepted') this.#accept(fact.channel, fact.accepted);
    else if (fact.kind === 'publishing') this.#publish(fact, nowMs);
    else if (fact.kind === 'presence') this.#count(fact);
    else if (fact.kind === 'presence-ends') this.#end(fact);
    else if (fact.kind === 'calm') this.#judgeCalm(nowMs - UNDER_WAY_MS);
  }

  #change({ pod, status, room, clientId, isAnnounced }: Fact & { readonly kind: 'member' }, nowMs: number): void {
    const { presences } = this.#tellerAt(pod);
    const key = keyOf(`chat-api:room:${room}`, clientId);
    const presence = presences.get(key) ?? {
      status: undefined,
      told: undefined,
      toldSentMs: -Infinity,
      unsettled: 0,
      changedMs: nowMs,
      hasLeft: false,
    };
    presence.changedMs = nowMs;
    presence.status = isAnnounced ? status : undefined;
    if (status === 'offline') presence.hasLeft = true;
    presences.set(key, presence);
    this.#presences.set(key, presence);
  }

  #publish({ channel, id, clientId, change, isAnswered }: Fact & { readonly kind: 'publishing' }, nowMs: number): void {
    const presence = clientId === undefined ? undefined : this.#presences.get(keyOf(channel, clientId));
    if (presence === undefined) return;
    if (change > 0) presence.unsettled += 1;
    else if (isAnswered) presence.unsettled -= 1;
    else {
      this.#unconfirmed.set(id, nowMs);
      Object.assign(presence, this.#misplaced.get(id));
    }
  }

  #accept(channel: string, accepted: Accepted): void {
    const { id, counts, presence: said } = accepted;
    if (said === undefined) return;
    const { status, clientId, identity } = said;
    // Without authentication the identity of a connection is its id.
    if (identity !== clientId) this.#options.report(`${channel} was told that the identity of ${clientId} is ${identity}`);
    const presence = this.#presences.get(keyOf(channel, clientId));
    const endedMs = this.#unconfirmed.get(id);
    if (presence === undefined || (status === 'offline' && !presence.hasLeft)) {
      this.#options.report(`${channel} was told that ${clientId} is ${status}, which it had no reason to be told`);
    } else if (counts || endedMs === undefined) {
      this.#tell(presence, accepted, endedMs);
    }
  }

  #tell(presence: Presence, { id, publishedMs, counts, presence: said }: Accepted, endedMs = Infinity): void {
    const { told, toldSentMs } = presence;
    const status = said?.status === 'online' ? 'online' : 'offline';
    if (endedMs <= toldSentMs) {
      if (status !== told) this.#options.excuse('a presence that came after a later one');
      return;
    }
    // The pod may yet hear no answer. Where it does hear one, whoever has missed the status gets a gap, which is for the delivery check.
    if (!counts) this.#misplaced.set(id, { told, toldSentMs });
    presence.told = status;
    presence.toldSentMs = publishedMs;
  }

  #count({ pod, what, changes }: Fact & { readonly kind: 'presence' }): void {
    const teller = this.#tellerAt(pod);
    if (what === 'waiting') {
      teller.waiting = changes;
      if (changes <= teller.mostWaited) return;
      teller.mostWaited = changes;
      this.#judgeWaiting(teller);
      return;
    }
    teller.lost += changes;
    if (!teller.hasStopped) this.#options.report(`${nameOf(teller)} gave up ${changes} changes of presence, though it went on`);
  }

  #judgeWaiting(teller: Teller): void {
    const isOfUse = ({ status, told, unsettled }: Presence) => status !== 'offline' || told !== undefined || unsettled > 0;
    const most = [...teller.presences.values()].filter(isOfUse).length;
    if (teller.waiting > most)
      this.#options.report(`${teller.waiting} changes of presence wait at ${nameOf(teller)}, of ${most} that can be of use`);
  }

  #end({ pod, phase }: Fact & { readonly kind: 'presence-ends' }): void {
    const teller = this.#tellerAt(pod);
    teller.hasStopped = true;
    if (phase === 'stopped') return;
    if (phase === 'published') this.#judge(teller);
    this.#tellers.delete(pod.life);
    this.#gone.add(pod.life);
  }

  /** @param untilMs changes after that may be under way */
  #judgeCalm(untilMs: number): void {
    for (const teller of this.#tellers.values()) {
      if (teller.hasStopped) continue;
      this.#judge(teller, untilMs);
      const underWay = [...teller.presences.values()].filter(({ changedMs }) => changedMs > untilMs).length;
      if (teller.waiting > underWay)
        this.#options.report(`${teller.waiting} changes of presence still wait at ${nameOf(teller)}`);
    }
  }

  #judge(teller: Teller, untilMs = Infinity): void {
    // A connection that came and went before anybody was told need not be told of.
    const wrong = [...teller.presences].filter(
      ([, { status, told = 'offline', changedMs }]) => status !== undefined && told !== status && changedMs <= untilMs,
    );
    const [first] = wrong;
    if (first === undefined || wrong.length <= teller.lost) return;
    const [key, { status = 'offline', told = 'nothing' }] = first;
    this.#options.report(
      `${nameOf(teller)} counted ${teller.lost} changes of presence as lost, and ${wrong.length} were: ${key} is ${status} and was told as ${told}`,
    );
  }

  #tellerAt(name: PodName): Teller {
    const teller = this.#tellers.get(name.life) ?? {
      name,
      presences: new Map(),
      lost: 0,
      waiting: 0,
      mostWaited: 0,
      hasStopped: false,
    };
    this.#tellers.set(name.life, teller);
    return teller;
  }
}

function keyOf(channel: string, clientId: string): string {
  return `${clientId} in ${channel}`;
}

function nameOf({ name: { slot, life } }: Teller): string {
  return `pod ${slot}/${life}`;
}
