import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Heard } from './client.js';

/** A TCP connection on which a test says exactly what it wants. */
export class Raw {
  readonly socket: Socket;
  /** Everything received so far. */
  received = Buffer.alloc(0);
  readonly closed: Promise<unknown>;
  readonly #waiting = new Set<() => void>();

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => undefined);
    socket.on('data', (chunk) => {
      this.received = Buffer.concat([this.received, chunk]);
      for (const look of this.#waiting) look();
    });
    // Not `once` of events: a reset is a close too.
    this.closed = new Promise((resolve) => socket.once('close', resolve));
  }

  write(data: string | Buffer): void {
    this.socket.write(data);
  }

  /** Resolves when what was received fits. */
  receives(fits: (received: Buffer) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const look = () => {
        if (!fits(this.received)) return;
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** Everything received when the server has closed, as text. */
  async text(): Promise<string> {
    await this.closed;
    return this.received.toString();
  }
}

export async function rawConnect(port: number): Promise<Raw> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return new Raw(socket);
}

/** Upgrades by hand and waits for the 101. */
export async function rawUpgrade(port: number, path = '/ws'): Promise<Raw> {
  const raw = await rawConnect(port);
  raw.write(upgradeRequest(path));
  await raw.receives((received) => received.includes('\r\n\r\n'));
  return raw;
}

/** The status that a request is answered with; the connection is given up then. */
export async function statusOf(port: number, request: string | Buffer): Promise<number> {
  const raw = await rawConnect(port);
  raw.write(request);
  await Promise.race([raw.receives((received) => received.includes('\r\n')), raw.closed]);
  raw.socket.destroy();
  return Number(raw.received.toString('latin1').split(' ')[1]);
}

export function upgradeRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    Host: '127.0.0.1',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`;
}

/** A masked client frame (RFC 6455 section 5.2) with a mask of zero; `first` is its first byte: FIN, RSV and opcode. */
export function clientFrame(first: number, payload: Buffer | string): Buffer {
  const body = Buffer.from(payload);
  const length =
    body.length < 126
      ? Buffer.from([0x80 | body.length])
      : body.length < 65536
        ? Buffer.from([0x80 | 126, body.length >> 8, body.length & 255])
        : Buffer.concat([Buffer.from([0x80 | 127]), Buffer.from(BigInt(body.length).toString(16).padStart(16, '0'), 'hex')]);
  return Buffer.concat([Buffer.from([first]), length, Buffer.alloc(4), body]);
}

export interface ServerFrame {
  /** FIN, RSV and opcode. */
  readonly first: number;
  readonly payload: Buffer;
}

/** The complete frames that a server sent behind its 101. */
export function framesIn(received: Buffer): ServerFrame[] {
  const frames: ServerFrame[] = [];
  let at = received.indexOf('\r\n\r\n') + 4;
  while (at + 2 <= received.length) {
    const short = received.readUInt8(at + 1) & 127;
    const header = short === 127 ? 10 : short === 126 ? 4 : 2;
    if (at + header > received.length) break;
    const length =
      short === 127 ? Number(received.readBigUInt64BE(at + 2)) : short === 126 ? received.readUInt16BE(at + 2) : short;
    const end = at + header + length;
    if (end > received.length) break;
    frames.push({ first: received.readUInt8(at), payload: received.subarray(at + header, end) });
    at = end;
  }
  return frames;
}

/** The messages that a server sent. */
export function messagesIn(received: Buffer): Heard[] {
  return framesIn(received)
    .filter(({ first }) => (first & 15) === 1)
    .map(({ payload }) => JSON.parse(payload.toString()) as Heard);
}

/** The code of the close frame that a server sent, 1005 where that has none (RFC 6455 section 7.1.5); undefined where it sent no such frame. */
export function closeCodeIn(received: Buffer): number | undefined {
  const close = framesIn(received).find(({ first }) => (first & 15) === 8);
  if (close === undefined) return undefined;
  return close.payload.length < 2 ? 1005 : close.payload.readUInt16BE(0);
}
