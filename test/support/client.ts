import { once } from 'node:events';
import { WebSocket, type ClientOptions } from 'ws';

/** A message as a client reads it. */
export interface Heard {
  readonly id: string;
  readonly type: string;
  readonly room?: string;
  readonly from: string;
  readonly data: Record<string, unknown>;
  readonly timestamp: string;
}

/** A WebSocket client for tests: waits for messages, never for time. */
export class Client {
  readonly webSocket: WebSocket;
  /** Everything heard, in order. */
  readonly heard: Heard[] = [];
  /** Resolves when the connection is closed. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly #waiting = new Set<() => void>();

  constructor(webSocket: WebSocket) {
    this.webSocket = webSocket;
    webSocket.on('error', () => undefined);
    webSocket.on('message', (data: Buffer) => {
      this.heard.push(JSON.parse(data.toString()) as Heard);
      for (const look of this.#waiting) look();
    });
    this.closed = once(webSocket, 'close').then((args) => {
      const [code, reason] = args as [number, Buffer];
      return { code, reason: reason.toString() };
    });
  }

  /** Sends a message, or a text as it is. */
  send(message: object | string): void {
    this.webSocket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  chat(content: string, more: object = {}): void {
    this.send({ type: 'chat', data: { content }, ...more });
  }

  /** The first message that fits, heard already or yet to come; rejects when the connection closes before. */
  async hears(fits: (message: Heard) => boolean): Promise<Heard> {
    const [first] = await this.hearsMany(1, fits);
    if (first === undefined) throw new Error('hearsMany(1) came back empty');
    return first;
  }

  /** The first so many messages that fit. */
  hearsMany(count: number, fits: (message: Heard) => boolean): Promise<Heard[]> {
    return new Promise((resolve, reject) => {
      const look = () => {
        const found = this.heard.filter(fits);
        if (found.length < count) return;
        this.#waiting.delete(look);
        resolve(found.slice(0, count));
      };
      this.#waiting.add(look);
      void this.closed.then(({ code }) => {
        reject(new Error(`closed with ${code} after ${JSON.stringify(this.heard.slice(-3))}`));
      });
      look();
    });
  }

  hearsType(type: string): Promise<Heard> {
    return this.hears((message) => message.type === type);
  }

  hearsError(code: string): Promise<Heard> {
    return this.hears(({ type, data }) => type === 'error' && data['code'] === code);
  }

  hearsEvent(event: string): Promise<Heard> {
    return this.hears(({ type, data }) => type === 'system' && data['event'] === event);
  }

  hearsChat(content: string): Promise<Heard> {
    return this.hears(({ type, data }) => type === 'chat' && data['content'] === content);
  }

  /** The contents of all chats heard so far. */
  get chats(): unknown[] {
    return this.heard.filter(({ type }) => type === 'chat').map(({ data }) => data['content']);
  }

  async close(code = 1000): Promise<void> {
    this.webSocket.close(code);
    await this.closed;
  }
}

/** Connects and waits for the welcome. */
export async function connect(port: number, path = '/ws', options: ClientOptions = {}): Promise<Client> {
  const client = new Client(new WebSocket(`ws://127.0.0.1:${port}${path}`, options));
  await client.hearsEvent('welcome');
  return client;
}

/** Connects and expects to be refused before the 101. */
export async function refused(port: number, path: string, options: ClientOptions = {}, protocols: string[] = []) {
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}${path}`, protocols, options);
  webSocket.on('error', () => undefined);
  const [, response] = (await once(webSocket, 'unexpected-response')) as [unknown, import('node:http').IncomingMessage];
  let body = '';
  for await (const chunk of response) body += String(chunk);
  return {
    status: response.statusCode,
    headers: response.headers,
    body: JSON.parse(body) as { error: { code: string; message: string } },
  };
}
