/** The bounds of every connection, each explained in README's table of variables. */
export interface Limits {
  readonly maxMessageBytes: number;
  readonly sendBufferMessages: number;
  readonly sendBufferBytes: number;
  readonly slowConsumerPolicy: 'disconnect' | 'drop-oldest';
  readonly publishWindow: number;
  readonly pingIntervalMs: number;
  readonly pongTimeoutMs: number;
  readonly maxRooms: number;
  readonly maxHeldBytes: number;
}
