/** What a client says: a message, as an object; or a text frame's content as it is, whatever is in it. */
export type Said = string | SaidMessage;

/** What `ClientMessage` says; a type that is left out is that of the handler under test. */
export interface SaidMessage {
  readonly type?: string | undefined;
  readonly room?: string | undefined;
  readonly data?: unknown;
  readonly id?: string | undefined;
}

/**
 * The text frame of it.
 *
 * @param type of messages that name none
 */
export function frameOf(said: Said, type?: string): string {
  return typeof said === 'string' ? said : JSON.stringify({ type, ...said });
}
