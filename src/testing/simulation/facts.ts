import type { Envelope } from '../../protocol.js';
import { hash } from './chance.js';
import type { ClientPlan, Fault } from './plan.js';

/** What a server took to be published. */
export interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly from: string;
  readonly atMs: number;
  /** When it was sent. */
  readonly publishedMs: number;
  /** The time that its envelope bears, by the clock of who sent it. */
  readonly timestampMs: number;
  /** It is valid, and was published where it belongs: every member of its room shall have it. */
  readonly counts: boolean;
  /** The message's data, where it is presence. */
  readonly presence: { readonly status: string; readonly clientId: string; readonly identity: string } | undefined;
}

/** One connection of a client's, as both ends know it. */
export interface Connection {
  /** Counted from 1. */
  readonly number: number;
  readonly client: ClientPlan;
  readonly pod: PodName;
  readonly openedMs: number;
}

/** Where a pod runs, and which it is of those that ran there. */
export interface PodName {
  readonly slot: number;
  readonly life: number;
}

/** What can be seen from outside the code: what clients sent and received, and what the simulated machines did. */
export type Fact =
  | { readonly kind: 'fault'; readonly fault: Fault; readonly phase: 'begins' | 'ends' }
  /** A server took a publish. */
  | { readonly kind: 'accepted'; readonly channel: string; readonly position: number; readonly accepted: Accepted }
  /** A publication reached a pod. */
  | {
      readonly kind: 'arrived';
      readonly pod: PodName;
      readonly channel: string;
      readonly position: number;
      readonly bytes: number;
    }
  | { readonly kind: 'opened'; readonly connection: Connection }
  /** A client sent a message; `room` hears it, or nobody does and the sender gets an answer. */
  | { readonly kind: 'said'; readonly connection: Connection; readonly id: string; readonly room: string | undefined }
  | Written
  | {
      readonly kind: 'heard';
      readonly connection: Connection;
      readonly message: Envelope;
      readonly writtenMs: number;
      readonly late: boolean;
    }
  /** The pod asks for the end of a connection. */
  | { readonly kind: 'shut'; readonly connection: Connection; readonly code: number }
  /** The client's end of a connection is over; `unread` bytes it had not read. */
  | { readonly kind: 'ended'; readonly connection: Connection; readonly code: number; readonly unread: number }
  /** The pod's end is over. */
  | { readonly kind: 'closed'; readonly connection: Connection; readonly code: number }
  /** A publish is on its way to Redis, or was answered or given up after a while. */
  | {
      readonly kind: 'publishing';
      readonly pod: PodName;
      readonly channel: string;
      readonly id: string;
      readonly from: string;
      /** The connection that it tells of, where it is presence. */
      readonly clientId: string | undefined;
      readonly change: 1 | -1;
      readonly tookMs: number;
      /** Redis answered it: it was published or refused, and the pod knows. */
      readonly isAnswered: boolean;
    }
  /** A subscription of a pod has this much to get that the pod itself published, and has never had more. */
  | { readonly kind: 'coming-back'; readonly pod: PodName; readonly bytes: number }
  /** Redis had too much for a subscription, and dropped it. */
  | { readonly kind: 'overflowed'; readonly pod: PodName; readonly bytes: number; readonly ownBytes: number }
  /** A connection came into a room or left it, at a pod that tells of presence. */
  | {
      readonly kind: 'member';
      readonly pod: PodName;
      readonly status: 'online' | 'offline';
      readonly room: string;
      readonly clientId: string;
      /** The room is small enough to be told. */
      readonly isTold: boolean;
    }
  /** A pod's metrics: so many changes of presence wait, or were given up. */
  | { readonly kind: 'presence'; readonly pod: PodName; readonly what: 'waiting' | 'lost'; readonly changes: number }
  /** From now on a pod tells of no more changes; what was before it told, or counted. Where it was killed it does neither. */
  | { readonly kind: 'presence-ends'; readonly pod: PodName; readonly phase: 'stopped' | 'told' | 'killed' }
  /** All faults are over, and all has had time to come right. */
  | { readonly kind: 'calm' }
  /** A pod logged a warning. */
  | { readonly kind: 'warned'; readonly pod: PodName; readonly what: string }
  /** Something is there that should be gone by now. */
  | { readonly kind: 'left-over'; readonly what: string }
  /** Something went wrong in the code itself: it logged an error, or threw one that nobody caught. */
  | { readonly kind: 'failed'; readonly what: string };

/** A pod wrote to a socket. */
export interface Written {
  readonly kind: 'written';
  readonly connection: Connection;
  readonly messages: number;
  readonly bytes: number;
  /** All that was written since the socket took data again, where that is why it was written. */
  readonly waited: { readonly messages: number; readonly bytes: number } | undefined;
  /** The socket was full, and had said so. */
  readonly full: boolean;
  /** It is full now. */
  readonly fills: boolean;
}

/** Sees facts as they happen. */
export interface Witness {
  see(fact: Fact, nowMs: number): void;
}

/** Tells every fact to all who watch, and sums them up in one number that two runs of one plan have in common. */
export class Facts {
  readonly #now: () => number;
  readonly #witnesses: readonly Witness[];
  #hash = 0x811c9dc5;

  constructor(now: () => number, witnesses: readonly Witness[]) {
    this.#now = now;
    this.#witnesses = witnesses;
  }

  /** Of all that was told, in its order and with its times. */
  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0');
  }

  tell(fact: Fact): void {
    const nowMs = this.#now();
    this.#hash = hash(essence(fact), Math.imul(this.#hash ^ nowMs, 0x01000193));
    for (const witness of this.#witnesses) witness.see(fact, nowMs);
  }
}

/** What a fact says, in a few characters. */
function essence(fact: Fact): string {
  if (fact.kind === 'accepted') return `a${fact.channel}${fact.position}${fact.accepted.id}`;
  if (fact.kind === 'heard') return `h${fact.connection.number}${fact.message.id}${fact.message.type}`;
  if (fact.kind === 'said') return `s${fact.connection.number}${fact.id}`;
  if (fact.kind === 'written') return `w${fact.connection.number}:${fact.bytes}`;
  if (fact.kind === 'shut' || fact.kind === 'closed' || fact.kind === 'ended')
    return `${fact.kind}${fact.connection.number}:${fact.code}`;
  if (fact.kind === 'presence') return `p${fact.pod.life}${fact.what}${fact.changes}`;
  return fact.kind;
}
