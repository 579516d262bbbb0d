import { timestamp, type Envelope } from '../protocol/protocol.js';

/** An envelope for a test of what a connection hears: a `chat` from `someone` in `tea`, where it is not said otherwise. */
export function envelope(members: Partial<Envelope>): Envelope {
  return { id: 'id', type: 'chat', room: 'tea', from: 'someone', data: {}, timestamp: timestamp(0), ...members };
}
