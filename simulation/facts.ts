import type { Envelope } from '../src/protocol/protocol.js';
import { hash } from './seeded-random.js';
import type { ClientPlan, Fault } from './plan.js';

/** A publish that a Redis server accepted. */
export interface Accepted {
  readonly id: string;
  readonly type: string;
  readonly from: string;
  readonly atMs: number;
  /** When it was sent. */
  readonly publishedMs: number;
  /** The timestamp of its envelope, by the publisher's clock. */
  readonly timestampMs: number;
  /** Whether every member of its room must get it: it is valid and was not published to a replica. */
  readonly counts: boolean;
  /** The `data` of a presence message. */
  readonly presence: { readonly status: string; readonly clientId: string; readonly identity: string } | undefined;
}

/** One connection of a client. */
export interface Connection {
  /** Counted from 1. */
  readonly number: number;
  readonly client: ClientPlan;
  readonly pod: PodName;
  readonly openedMs: number;
}

/** The slot that a pod runs in, and its number among the pods that ran there. */
export interface PodName {
  readonly slot: number;
  readonly life: number;
}

/** An event that is visible from outside the code: of a client, a simulated machine, or a pod's log and metrics. */
export type Fact =
  | { readonly kind: 'fault'; readonly fault: Fault; readonly phase: 'begins' | 'ends' }
  /** A Redis server accepted a publish. */
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
  /** A client sent a message, to `room` or, if undefined, for an answer to itself. */
  | { readonly kind: 'said'; readonly connection: Connection; readonly id: string; readonly room: string | undefined }
  | Written
  | {
      readonly kind: 'heard';
      readonly connection: Connection;
      readonly message: Envelope;
      readonly writtenMs: number;
      readonly late: boolean;
    }
  /** The pod starts to close a connection. */
  | { readonly kind: 'shut'; readonly connection: Connection; readonly code: number }
  /** The connection has ended at the client, which had `unread` bytes left to read. */
  | { readonly kind: 'ended'; readonly connection: Connection; readonly code: number; readonly unread: number }
  /** The connection has ended at the pod. */
  | { readonly kind: 'closed'; readonly connection: Connection; readonly code: number }
  /** A publish to Redis has started (1), or has been answered or abandoned (-1) after `tookMs`. */
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
      /** Whether Redis answered, so that the pod knows the result. */
      readonly isAnswered: boolean;
    }
  /** A new maximum of the pod's own publishes that are on the way back to its subscription. */
  | { readonly kind: 'coming-back'; readonly pod: PodName; readonly bytes: number }
  /** Redis dropped a subscription because of its output buffer limit. */
  | { readonly kind: 'overflowed'; readonly pod: PodName; readonly bytes: number; readonly ownBytes: number }
  /** A connection entered or left a room, at a pod that publishes presence. */
  | {
      readonly kind: 'member';
      readonly pod: PodName;
      readonly status: 'online' | 'offline';
      readonly room: string;
      readonly clientId: string;
      /** Whether the room is small enough for presence. */
      readonly isAnnounced: boolean;
    }
  /** A pod's metrics: the presence changes that wait or were lost. */
  | { readonly kind: 'presence'; readonly pod: PodName; readonly what: 'waiting' | 'lost'; readonly changes: number }
  /** A pod stopped presence, has published or counted all earlier changes, or was killed. */
  | { readonly kind: 'presence-ends'; readonly pod: PodName; readonly phase: 'stopped' | 'published' | 'killed' }
  /** All faults are over, and the time to recover has passed. */
  | { readonly kind: 'calm' }
  /** A pod logged a warning. */
  | { readonly kind: 'warned'; readonly pod: PodName; readonly what: string }
  /** A resource exists that should have been released. */
  | { readonly kind: 'left-over'; readonly what: string }
  /** The code logged an error or threw an uncaught one. */
  | { readonly kind: 'failed'; readonly what: string };

/** A write of a pod to a socket. */
export interface Written {
  readonly kind: 'written';
  readonly connection: Connection;
  readonly messages: number;
  readonly bytes: number;
  /** The total written since the socket became writable, if that caused the write. */
  readonly waited: { readonly messages: number; readonly bytes: number } | undefined;
  /** Whether the socket was full before. */
  readonly full: boolean;
  /** Whether the socket is full now. */
  readonly fills: boolean;
}

/** Is called with each fact as it happens. */
export interface FactObserver {
  observe(fact: Fact, nowMs: number): void;
}

/** Passes every fact to the observers, and hashes them all: runs of one plan have the same hash. */
export class Facts {
  readonly #now: () => number;
  readonly #observers: readonly FactObserver[];
  #hash = 0x811c9dc5;

  constructor(now: () => number, observers: readonly FactObserver[]) {
    this.#now = now;
    this.#observers = observers;
  }

  /** The hash of all facts with their order and times. */
  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0');
  }

  record(fact: Fact): void {
    const nowMs = this.#now();
    this.#hash = hash(summaryOf(fact), Math.imul(this.#hash ^ nowMs, 0x01000193));
    for (const observer of this.#observers) observer.observe(fact, nowMs);
  }
}

/** A fact as a short text, for the hash. */
function summaryOf(fact: Fact): string {
  if (fact.kind === 'accepted') return `a${fact.channel}${fact.position}${fact.accepted.id}`;
  if (fact.kind === 'heard') return `h${fact.connection.number}${fact.message.id}${fact.message.type}`;
  if (fact.kind === 'said') return `s${fact.connection.number}${fact.id}`;
  if (fact.kind === 'written') return `w${fact.connection.number}:${fact.bytes}`;
  if (fact.kind === 'shut' || fact.kind === 'closed' || fact.kind === 'ended')
    return `${fact.kind}${fact.connection.number}:${fact.code}`;
  if (fact.kind === 'presence') return `p${fact.pod.life}${fact.what}${fact.changes}`;
  return fact.kind;
}
