import { Observable, Subject, type OperatorFunction, type Subscriber } from 'rxjs';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode } from '../protocol/protocol.js';
import { closeSocket, type Binary, type Outbound, type Text } from './transport.js';

/**
 * Sends text frames through an operator of their own and merges what it emits; what the connection already answers passes. A
 * binary frame closes the connection (1003), and text after it is ignored, however long the close waits in the send buffer.
 *
 * @param operator made with the first text frame, so that a client that only listens does not pay for it
 */
export function textFrames(
  operator: () => OperatorFunction<Text, Outbound>,
): OperatorFunction<Text | Binary | Outbound, Outbound> {
  return (inbound$) => new Observable((subscriber) => inbound$.subscribe(new TextFramesSubscriber(subscriber, operator)));
}

class TextFramesSubscriber extends OperatorSubscriber<Text | Binary | Outbound, Outbound> {
  readonly #operator: () => OperatorFunction<Text, Outbound>;
  #text$: Subject<Text> | undefined;
  #isClosing = false;

  constructor(output: Subscriber<Outbound>, operator: () => OperatorFunction<Text, Outbound>) {
    super(output);
    this.#operator = operator;
  }

  protected override take(inbound: Text | Binary | Outbound): void {
    if (inbound.kind === 'text') {
      if (!this.#isClosing) (this.#text$ ??= this.#begin()).next(inbound);
    } else if (inbound.kind === 'binary') {
      this.#isClosing = true;
      this.output.next(closeSocket(CloseCode.unsupportedData, 'binary frames are not taken'));
    } else {
      this.output.next(inbound);
    }
  }

  #begin(): Subject<Text> {
    const text$ = new Subject<Text>();
    text$.pipe(this.#operator()).subscribe(this.output);
    return text$;
  }
}
