import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

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
    this.closed = once(socket, 'close');
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

/** The close code that stands at the end of what a server sent; undefined where it sent no close frame. */
export function closeCodeIn(received: Buffer): number | undefined {
  let at = received.indexOf('\r\n\r\n') + 4;
  while (at + 2 <= received.length) {
    const short = received.readUInt8(at + 1) & 127;
    const [header, length] =
      short === 127
        ? [10, Number(received.readBigUInt64BE(at + 2))]
        : short === 126
          ? [4, received.readUInt16BE(at + 2)]
          : [2, short];
    if ((received.readUInt8(at) & 15) === 8) return received.readUInt16BE(at + header);
    at += header + length;
  }
  return undefined;
}
