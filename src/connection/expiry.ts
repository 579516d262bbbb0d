import { Observable, type MonoTypeOperatorFunction, type Subscriber } from 'rxjs';
import type { Access } from '../auth/grant.js';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import type { Inbound } from './transport.js';
import type { Runtime } from '../runtime/runtime.js';

/** The token's time is over. */
export class TokenExpiredError extends Error {}

/**
 * Errors with `TokenExpiredError` at the first tick at which the token has expired.
 *
 * It goes by the clock on the wall, as the token does, and keeps no timer: one for a token of 30 days would fire at once.
 */
export function untilExpired({ expiresAtMs }: Access, { wallMs }: Runtime): MonoTypeOperatorFunction<Inbound> {
  return (inbound$) => new Observable((subscriber) => inbound$.subscribe(new Expiry(subscriber, expiresAtMs, wallMs)));
}

class Expiry extends OperatorSubscriber<Inbound, Inbound> {
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
