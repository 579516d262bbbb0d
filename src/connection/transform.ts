import { Subject, Subscription, type MonoTypeOperatorFunction, type Observer, type Subscriber } from 'rxjs';
import { payloads, publicationBatch, type Batch } from '../hub/frame.js';
import type { ConnectionContext } from './context.js';
import { GLOBAL_ROOM, writeEnvelope, type Envelope } from '../protocol/protocol.js';
import type { Publication } from '../broker/broker.js';
import { gapBatch } from '../hub/server-message.js';
import type { Outbound } from './transport.js';

/** What came out of a batch by the time it had gone in. */
interface Heard {
  publications: Publication[];
  isWhole: boolean;
  readonly publishedAtMs: number;
  /** So many may come of it in one piece. */
  readonly most: number;
}

/** What one connection hears, through operators of its own: it has frames of its own then, which nobody shares. */
export class OutboundTransforms {
  readonly #output: Subscriber<Outbound>;
  readonly #context: ConnectionContext;
  #links: readonly AppliedTransform[] = [];
  /** While a batch goes in. */
  #heard: Heard | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext) {
    this.#output = output;
    this.#context = context;
  }

  /** Whether it hears what everybody hears. */
  get isPlain(): boolean {
    return this.#links.length === 0;
  }

  /** Who has an operator already keeps its place. */
  hear(by: string, operator: MonoTypeOperatorFunction<Envelope> | undefined): void {
    const old = this.#links.find((link) => link.by === by);
    old?.unsubscribe();
    if (operator === undefined) {
      this.#links = this.#links.filter((link) => link !== old);
      return;
    }
    const link: AppliedTransform = new AppliedTransform(by, operator, {
      next: (envelope) => {
        this.#pass(envelope, link);
      },
      error: (error: unknown) => {
        this.#lost(error, link);
      },
      complete: () => {
        this.#context.pod.log.warn({ connection: this.#context.id, type: by }, 'hears nothing more');
      },
      teardownFailed: (error) => {
        this.#context.pod.failures.report(by, error, this.#context.id);
      },
    });
    this.#output.add(link);
    this.#links = old ? this.#links.map((other) => (other === old ? link : other)) : [...this.#links, link];
  }

  /** What comes of it at once goes on in one batch; what comes later, by itself. */
  receive(batch: Batch, publishedAtMs: number): void {
    const most = batch.messages + this.#context.pod.limits.sendBufferMessages;
    const heard: Heard = { publications: [], isWhole: true, publishedAtMs, most };
    this.#heard = heard;
    for (const payload of payloads(batch)) this.#pass(JSON.parse(payload.toString()) as Envelope, undefined);
    this.#heard = undefined;
    this.#say(heard);
    if (!heard.isWhole) this.#output.next(gapBatch('handler', publishedAtMs, this.#context.pod.runtime));
  }

  #pass(envelope: Envelope, from: AppliedTransform | undefined): void {
    const next = this.#links[from === undefined ? 0 : this.#links.indexOf(from) + 1];
    if (next) next.next(envelope);
    else this.#emit(envelope, from);
  }

  #emit(envelope: Envelope, last: AppliedTransform | undefined): void {
    let publication: Publication;
    try {
      publication = published(envelope, this.#context.pod.maxPublicationBytes);
    } catch (error) {
      this.#lost(error, last);
      return;
    }
    if (this.#heard) this.#gather(publication, this.#heard);
    else this.#output.next(publicationBatch([publication], this.#context.pod.runtime.wallMs()));
  }

  /** An operator can make any number of messages of one: they are for the send buffer to bound, not to gather here. */
  #gather(publication: Publication, heard: Heard): void {
    heard.publications.push(publication);
    if (heard.publications.length >= heard.most) this.#say(heard);
  }

  #say(heard: Heard): void {
    const { publications, publishedAtMs } = heard;
    heard.publications = [];
    if (publications.length > 0) this.#output.next(publicationBatch(publications, publishedAtMs));
  }

  /** Fails closed: what an operator did not let through does not get through without it. */
  #lost(error: unknown, link: AppliedTransform | undefined): void {
    const { pod, id } = this.#context;
    pod.failures.report(link?.by ?? 'transform', error, id);
    if (this.#heard) this.#heard.isWhole = false;
    // What fails later may have held back any message since it began.
    else this.#output.next(gapBatch('handler', link?.sinceMs ?? pod.runtime.wallMs(), pod.runtime));
  }
}

interface TransformObserver extends Observer<Envelope> {
  /** What it threw when it was to end, which keeps nobody else from ending. */
  readonly teardownFailed: (error: unknown) => void;
}

/** One operator at work, until it is replaced or its connection ends; one that errored begins anew with the next envelope. */
class AppliedTransform extends Subscription {
  readonly by: string;
  readonly #operator: MonoTypeOperatorFunction<Envelope>;
  readonly #observer: TransformObserver;
  #input: Subject<Envelope> | undefined;
  /** When the first message came to it as it is now, in milliseconds since the epoch. */
  #sinceMs: number | undefined;

  constructor(by: string, operator: MonoTypeOperatorFunction<Envelope>, observer: TransformObserver) {
    super();
    this.by = by;
    this.#operator = operator;
    this.#observer = observer;
  }

  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  next(envelope: Envelope): void {
    if (this.closed) return;
    try {
      (this.#input ?? this.#begin(envelope)).next(envelope);
    } catch (error) {
      this.#observer.error(error);
    }
  }

  override unsubscribe(): void {
    try {
      super.unsubscribe();
    } catch (error) {
      this.#observer.teardownFailed(error);
    }
  }

  #begin({ timestamp }: Envelope): Subject<Envelope> {
    const input = new Subject<Envelope>();
    this.#input = input;
    const sinceMs = Date.parse(timestamp);
    // An operator before it may have written anything.
    this.#sinceMs = Number.isNaN(sinceMs) ? undefined : sinceMs;
    const failed = (error: unknown) => {
      if (this.#input === input) this.#input = undefined;
      this.#observer.error(error);
    };
    try {
      this.add(this.#operator(input).subscribe({ ...this.#observer, error: failed }));
    } catch (error) {
      failed(error);
    }
    return input;
  }
}

function published(envelope: Envelope, maxBytes: number): Publication {
  const payload = Buffer.from(writeEnvelope(envelope));
  if (payload.length > maxBytes) throw new Error('what it made of an envelope is too large');
  return { kind: 'publication', room: envelope.room ?? GLOBAL_ROOM, payload };
}
