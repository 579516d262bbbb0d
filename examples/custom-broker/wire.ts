import type { Socket } from 'node:net';

/** What pods and the relay tell each other: a JSON array a line, which begins with what it is. */
export type Line =
  /** To the relay: the pod wants a room, or no longer. */
  | readonly ['join' | 'leave', room: string]
  /** To the relay: publish it. Back: that it was. */
  | readonly ['publish', nth: number, room: string, payload: string]
  | readonly ['published', nth: number]
  /** To the pod: it was published to a room that the pod wants. */
  | readonly ['publication', room: string, payload: string]
  /** To the relay, and back: everything before it has been done. */
  | readonly ['fence', nth: number];

export function send(socket: Socket, line: Line): void {
  socket.write(`${JSON.stringify(line)}\n`);
}

/** Hands each line that comes to a function. */
export function receive(socket: Socket, take: (line: Line) => void): void {
  let rest = '';
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    // Both ends are ours.
    for (const line of lines) take(JSON.parse(line) as Line);
  });
}
