import { once } from 'node:events';
import { createServer, type AddressInfo, type Socket } from 'node:net';

/** Answers a command, in the bytes of RESP3; undefined leaves it to the server. */
export type Answer = (command: readonly string[]) => string | undefined;

/** A server that speaks as Redis does, until a test lets it say something else. */
export interface FakeRedis {
  readonly port: number;
  /** How many connections it has had. */
  readonly connections: () => number;
  /** What it answers instead. */
  answer: Answer;
  /** Says something to every connection that is open, asked or not. */
  say(bytes: string): void;
  stop(): void;
}

export async function startFakeRedis(): Promise<FakeRedis> {
  const sockets = new Set<Socket>();
  const server = createServer();
  let connections = 0;
  const fake: FakeRedis = {
    port: 0,
    connections: () => connections,
    answer: () => undefined,
    say: (bytes) => {
      for (const socket of sockets) socket.write(bytes);
    },
    stop: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    let unread = '';
    socket.on('data', (chunk) => {
      unread += chunk.toString('latin1');
      for (let read = readCommand(unread); read !== undefined; read = readCommand(unread)) {
        unread = unread.slice(read.length);
        const bytes = fake.answer(read.command) ?? answerAsRedis(read.command, sockets);
        if (socket.writable) socket.write(bytes);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return Object.assign(fake, { port: (server.address() as AddressInfo).port });
}

export function bulk(text: string): string {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

function answerAsRedis([name = '', ...args]: readonly string[], sockets: Iterable<Socket>): string {
  switch (name.toUpperCase()) {
    case 'HELLO':
      return `%1\r\n${bulk('proto')}:3\r\n`;
    case 'ROLE':
      return `*3\r\n${bulk('master')}:0\r\n*0\r\n`;
    case 'SUBSCRIBE':
    case 'UNSUBSCRIBE':
      return args.map((channel, nth) => `>3\r\n${bulk(name.toLowerCase())}${bulk(channel)}:${nth + 1}\r\n`).join('');
    case 'PUBLISH': {
      const [channel = '', payload = ''] = args;
      for (const socket of sockets) socket.write(`>3\r\n${bulk('message')}${bulk(channel)}${bulk(payload)}`);
      return ':1\r\n';
    }
    default:
      return '+OK\r\n';
  }
}

/** The first command in what came, where it is whole, and how long it is. */
function readCommand(text: string): { readonly command: readonly string[]; readonly length: number } | undefined {
  const head = /^\*(\d+)\r\n/.exec(text);
  if (head === null) return undefined;
  let length = head[0].length;
  const command: string[] = [];
  for (let nth = 0; nth < Number(head[1]); nth++) {
    const size = /^\$(\d+)\r\n/.exec(text.slice(length));
    if (size === null) return undefined;
    const from = length + size[0].length;
    const to = from + Number(size[1]);
    if (text.length < to + 2) return undefined;
    command.push(text.slice(from, to));
    length = to + 2;
  }
  return { command, length };
}
