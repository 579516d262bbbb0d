import { Observable, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import type { Access } from '../auth/grant.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Inbound } from './transport.js';

/** The connection's token has expired. */
export class TokenExpiredError extends Error {}

/**
 * Errors with `TokenExpiredError` at the first tick at which the token has expired. Without a token, nothing is done.
 *
 * It uses the wall clock, as the token does, and ticks rather than a timer: a timer of more than 24.8 days would fire at once.
 */
export function untilExpired(access: Access | undefined, { wallMs }: Runtime): MonoTypeOperatorFunction<Inbound> {
  return (inbound$) =>
    access === undefined
      ? inbound$
      : new Observable((subscriber) => inbound$.subscribe(new ExpirySubscriber(subscriber, access.expiresAtMs, wallMs)));
}

class ExpirySubscriber extends OperatorSubscriber<Inbound, Inbound> {
  readonly #expiresAtMs: number;
  readonly #wallMs: Runtime['wallMs'];

  constructor(output: Subscriber<Inbound>, expiresAtMs: number, wallMs: Runtime['wallMs']) {
    super(output);
    this.#expiresAtMs = expiresAtMs;
    this.#wallMs = wallMs;
  }

  protected override take(inbound: Inbound): void {
    if (inbound.kind === 'tick' && this.#wallMs() >= this.#expiresAtMs) throw new TokenExpiredError('the token is expired');
    this.output.next(inbound);
  }
}
