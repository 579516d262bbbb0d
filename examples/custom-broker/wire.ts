import type { Socket } from 'node:net';

/** What a pod tells the relay: a JSON array a line, which begins with what it is. */
export type ToRelay =
  /** It wants a room, or no longer. */
  | readonly ['join' | 'leave', room: string]
  | readonly ['publish', nth: number, room: string, payload: string]
  /** To be sent back when everything before it has been done. */
  | readonly ['fence', nth: number];

/** What the relay tells a pod. */
export type ToPod =
  readonly ['publication', room: string, payload: string] | readonly ['published', nth: number] | readonly ['fence', nth: number];

export function send(socket: Socket, line: ToRelay | ToPod): void {
  socket.write(`${JSON.stringify(line)}\n`);
}

/** Hands each line that comes to a function. */
export function receive(socket: Socket, take: (line: unknown) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) take(JSON.parse(line));
  });
}
