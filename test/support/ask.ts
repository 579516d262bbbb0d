import { map, type Observable } from 'rxjs';
import { connection } from '../../src/connection/connection.js';
import type { Consumer } from '../../src/operators/boundedBuffer.js';
import type { ConnectionContext } from '../../src/connection/context.js';
import type { Inbound } from '../../src/connection/transport.js';
import { brief } from './brief.js';
import { READY } from './consumer.js';
import { mailbox } from './pod.js';

/** A text frame of a client's. */
export function text(message: unknown): Inbound {
  return { kind: 'text', text: typeof message === 'string' ? message : JSON.stringify(message) };
}

/** The actor's rows: what it asks of its socket, in brief. */
export function ask(client$: Observable<Inbound>, context: ConnectionContext, socket: Consumer = READY): Observable<string> {
  return connection(mailbox(client$, context.pod), socket, context).pipe(map(brief));
}
