import { Observable, Subject, Subscription, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import type { Publication } from '../broker/broker.js';
import { payloads, publicationBatch, type Batch } from '../hub/frame.js';
import { gapBatch } from '../hub/server-message.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { GLOBAL_ROOM, writeEnvelope, type Envelope } from '../protocol/protocol.js';
import type { ConnectionContext } from './context.js';
import type { Outbound } from './transport.js';

/** The outbound transforms of one connection, in the order in which they are applied. */
export class OutboundTransforms {
  readonly #context: ConnectionContext;
  #applied: readonly AppliedTransform[] = NONE;

  constructor(context: ConnectionContext) {
    this.#context = context;
  }

  get isEmpty(): boolean {
    return this.#applied.length === 0;
  }

  /** Sets, replaces or, with undefined, removes the one transform that `by` has. A replaced one keeps its place. */
  set(by: string, operator: MonoTypeOperatorFunction<Envelope> | undefined): void {
    const old = this.#applied.find((transform) => transform.by === by);
    old?.unsubscribe();
    const others = this.#applied.filter((transform) => transform !== old);
    const fresh = operator && new AppliedTransform(by, operator, this.#context);
    if (fresh === undefined) this.#applied = others.length === 0 ? NONE : others;
    else this.#applied = old ? this.#applied.map((each) => (each === old ? fresh : each)) : [...others, fresh];
  }

  /** The one that follows another, or the first. */
  after(transform: AppliedTransform | undefined): AppliedTransform | undefined {
    return this.#applied[transform === undefined ? 0 : this.#applied.indexOf(transform) + 1];
  }
}

const NONE: readonly AppliedTransform[] = [];

/** Sends published messages through the connection's transforms. The server's own messages, which have no time of publication, pass. */
export function transformed(context: ConnectionContext, transforms: OutboundTransforms): MonoTypeOperatorFunction<Outbound> {
  return (outbound$) =>
    new Observable((subscriber) => outbound$.subscribe(new TransformSubscriber(subscriber, context, transforms)));
}

/** What a batch became while it passed the transforms. */
interface Gathered {
  publications: Publication[];
  isWhole: boolean;
  readonly publishedAtMs: number;
  /** The most publications that are sent as one batch. */
  readonly most: number;
}

class TransformSubscriber extends OperatorSubscriber<Outbound, Outbound> {
  readonly #context: ConnectionContext;
  readonly #transforms: OutboundTransforms;
  /** While a batch passes. */
  #gathered: Gathered | undefined;

  constructor(output: Subscriber<Outbound>, context: ConnectionContext, transforms: OutboundTransforms) {
    super(output);
    this.#context = context;
    this.#transforms = transforms;
  }

  /** An envelope that came out of a transform, or one as it was published. */
  pass(envelope: Envelope, from: AppliedTransform | undefined): void {
    const next = this.#transforms.after(from);
    if (next) next.apply(envelope, this);
    else this.#emit(envelope, from);
  }

  /** Fails closed: a message that a transform did not let through is lost, and a gap is sent. */
  failed(error: unknown, transform: AppliedTransform | undefined): void {
    const { pod, id } = this.#context;
    pod.failures.report(transform?.by ?? 'transform', error, id);
    if (this.#gathered) this.#gathered.isWhole = false;
    // A transform that fails later may have held back any message since it began.
    else this.output.next(gapBatch('handler', transform?.sinceMs ?? pod.runtime.wallMs(), pod.runtime));
  }

  protected override take(outbound: Outbound): void {
    if (this.#transforms.isEmpty || outbound.kind !== 'batch' || outbound.publishedAtMs === undefined) this.output.next(outbound);
    else this.#transform(outbound, outbound.publishedAtMs);
  }

  /** What the transforms emit at once is sent as one batch; what they emit later, message by message. */
  #transform(batch: Batch, publishedAtMs: number): void {
    const most = batch.messages + this.#context.pod.limits.sendBufferMessages;
    const gathered: Gathered = { publications: [], isWhole: true, publishedAtMs, most };
    this.#gathered = gathered;
    for (const payload of payloads(batch)) this.pass(JSON.parse(payload.toString()) as Envelope, undefined);
    this.#gathered = undefined;
    this.#send(gathered);
    if (!gathered.isWhole) this.output.next(gapBatch('handler', publishedAtMs, this.#context.pod.runtime));
  }

  #emit(envelope: Envelope, last: AppliedTransform | undefined): void {
    let publication: Publication;
    try {
      publication = publicationOf(envelope, this.#context.pod.maxPublicationBytes);
    } catch (error) {
      this.failed(error, last);
      return;
    }
    if (this.#gathered) this.#gather(publication, this.#gathered);
    else this.output.next(publicationBatch([publication], this.#context.pod.runtime.wallMs()));
  }

  /** A transform can make any number of messages of one: the send buffer bounds them. */
  #gather(publication: Publication, gathered: Gathered): void {
    gathered.publications.push(publication);
    if (gathered.publications.length >= gathered.most) this.#send(gathered);
  }

  #send(gathered: Gathered): void {
    const { publications, publishedAtMs } = gathered;
    gathered.publications = [];
    if (publications.length > 0) this.output.next(publicationBatch(publications, publishedAtMs));
  }
}

/** One transform, until it is replaced or its connection ends. One that errored begins anew with the next envelope. */
class AppliedTransform extends Subscription {
  readonly by: string;
  readonly #operator: MonoTypeOperatorFunction<Envelope>;
  readonly #context: ConnectionContext;
  #input: Subject<Envelope> | undefined;
  #sinceMs: number | undefined;

  constructor(by: string, operator: MonoTypeOperatorFunction<Envelope>, context: ConnectionContext) {
    super();
    this.by = by;
    this.#operator = operator;
    this.#context = context;
  }

  /** The time of the first message since it began, in milliseconds since the epoch. */
  get sinceMs(): number | undefined {
    return this.#sinceMs;
  }

  apply(envelope: Envelope, output: TransformSubscriber): void {
    if (this.closed) return;
    try {
      (this.#input ?? this.#begin(envelope, output)).next(envelope);
    } catch (error) {
      output.failed(error, this);
    }
  }

  /** A teardown that throws is reported, so that the other teardowns run. */
  override unsubscribe(): void {
    try {
      super.unsubscribe();
    } catch (error) {
      this.#context.pod.failures.report(this.by, error, this.#context.id);
    }
  }

  #begin({ timestamp }: Envelope, output: TransformSubscriber): Subject<Envelope> {
    const input = new Subject<Envelope>();
    this.#input = input;
    const sinceMs = Date.parse(timestamp);
    // A transform before this one may have written any timestamp.
    this.#sinceMs = Number.isNaN(sinceMs) ? undefined : sinceMs;
    output.add(this);
    const error = (reason: unknown) => {
      if (this.#input === input) this.#input = undefined;
      output.failed(reason, this);
    };
    const next = (envelope: Envelope) => {
      output.pass(envelope, this);
    };
    const complete = () => {
      this.#context.pod.log.warn({ connection: this.#context.id, type: this.by }, 'outbound transform completed');
    };
    try {
      this.add(this.#operator(input).subscribe({ next, error, complete }));
    } catch (reason) {
      error(reason);
    }
    return input;
  }
}

function publicationOf(envelope: Envelope, maxBytes: number): Publication {
  const payload = Buffer.from(writeEnvelope(envelope));
  if (payload.length > maxBytes) throw new Error('the transformed message is too large');
  return { kind: 'publication', room: envelope.room ?? GLOBAL_ROOM, payload };
}
