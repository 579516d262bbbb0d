import { Observable, type OperatorFunction } from 'rxjs';
import { OperatorSubscriber } from '../operators/operator-subscriber.js';
import { CloseCode } from '../protocol/protocol.js';
import { closeSocket, type Binary, type Drain, type Outbound, type Text } from './transport.js';

/** A binary frame closes the connection (1003). Text after it is ignored, however long the close waits in the send buffer. */
export function textOnly(): OperatorFunction<Text | Binary | Drain | Outbound, Text | Drain | Outbound> {
  return (inbound$) => new Observable((subscriber) => inbound$.subscribe(new TextOnlySubscriber(subscriber)));
}

class TextOnlySubscriber extends OperatorSubscriber<Text | Binary | Drain | Outbound, Text | Drain | Outbound> {
  #isClosing = false;

  protected override take(inbound: Text | Binary | Drain | Outbound): void {
    if (inbound.kind === 'binary') {
      this.#isClosing = true;
      this.output.next(closeSocket(CloseCode.unsupportedData, 'binary frames are not taken'));
    } else if (inbound.kind !== 'text' || !this.#isClosing) {
      this.output.next(inbound);
    }
  }
}
