import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterAll, afterEach, expect, test } from '@jest/globals';
import { Observable, Subject, lastValueFrom } from 'rxjs';
import { WebSocket } from 'ws';
import { PAUSE, RESUME, TICK, closeSocket, type Outbound } from '../../src/connection/transport.js';
import { WebSocketTransport, webSockets, type Pipeline } from '../../src/gateway/websocket.js';
import { textBatch } from '../../src/hub/frame.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { clientFrame, framesIn, rawUpgrade } from '../support/raw.js';

const http = createServer().listen(0, '127.0.0.1');
let client: WebSocket | undefined;

afterEach(() => {
  client?.terminate();
});

afterAll(() => {
  http.closeAllConnections();
});

afterAll(() => {
  http.close();
});

interface Pair {
  readonly client: WebSocket;
  readonly transport: WebSocketTransport;
  /** The server's side of it. */
  readonly socket: Socket;
  readonly ended: Promise<unknown>;
  /** What the socket's end was counted as. */
  readonly closes: readonly number[];
}

/** Gives the next client to an actor. */
function accept(actor: Pipeline) {
  const closes: number[] = [];
  const metrics = { ...noMetrics, closed: (code: number) => closes.push(code) };
  const upgrade = webSockets(1024, () => undefined);
  const ended$ = new Subject<void>();
  const onEnd = () => {
    ended$.complete();
  };
  const made = new Promise<Pick<Pair, 'transport' | 'socket'>>((resolve) => {
    http.once('upgrade', (request, socket: Socket, head) => {
      upgrade({ request, socket, head }, (webSocket) => {
        const transport = new WebSocketTransport(webSocket, socket, { metrics, onEnd });
        transport.begin(actor);
        resolve({ transport, socket });
      });
    });
  });
  return { closes, made, ended: lastValueFrom(ended$, { defaultValue: undefined }) };
}

/** A client of an actor. */
async function clientOf(actor: Pipeline): Promise<Pair> {
  const { closes, made, ended } = accept(actor);
  if (!http.listening) await once(http, 'listening');
  client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`);
  await once(client, 'open');
  return { client, ...(await made), ended, closes };
}

test('nothing is written behind a close frame, which answers the client’s, though the actor has not heard of it yet', async () => {
  let say = (): void => undefined;
  const talkative: Pipeline = (inbound$) =>
    new Observable((subscriber) => {
      say = () => {
        subscriber.next(textBatch('{"too":"late"}'));
      };
      // The ping and the close are in one packet: this comes before ws has ended the socket, and behind its close frame.
      return inbound$.subscribe(() => {
        process.nextTick(say);
      });
    });
  accept(talkative);
  if (!http.listening) await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const raw = await rawUpgrade(port);
  raw.write(Buffer.concat([clientFrame(0x89, 'ping'), clientFrame(0x88, Buffer.from([0x03, 0xe8]))]));
  await raw.closed;
  const opcodes = framesIn(raw.received).map(({ first }) => first & 15);
  expect(opcodes.at(-1)).toBe(8);
});

test('an actor that listens no more and said nothing: the next tick closes its client with 1011', async () => {
  const dead: Pipeline = (inbound$) =>
    new Observable(() => {
      inbound$.subscribe().unsubscribe();
    });
  const { client, transport, ended, closes } = await clientOf(dead);
  const closed = once(client, 'close');
  transport.emit(TICK);
  transport.emit(TICK);
  const [code] = (await closed) as [number];
  await ended;
  expect(code).toBe(1011);
  expect(closes).toEqual([1011]);
});

test('a socket is read only while neither its actor nor the pod wants it left unread', async () => {
  const outbound$ = new Subject<Outbound>();
  const { transport, socket } = await clientOf(() => outbound$);
  const unread = () => socket.isPaused();
  const seen: boolean[] = [unread()];
  for (const act of [
    () => {
      outbound$.next(PAUSE);
    },
    () => {
      transport.hold(true);
    },
    () => {
      outbound$.next(RESUME);
    },
    () => {
      transport.hold(false);
    },
    () => {
      transport.hold(true);
    },
    () => {
      outbound$.next(PAUSE);
    },
    () => {
      transport.hold(false);
    },
    () => {
      outbound$.next(RESUME);
    },
  ]) {
    act();
    seen.push(unread());
  }
  expect(seen).toEqual([false, true, true, true, false, true, true, true, false]);
});

test('a socket that closes is read, though the pod fills up meanwhile: the handshake ends at once', async () => {
  const outbound$ = new Subject<Outbound>();
  const { client, transport, socket, ended, closes } = await clientOf(() => outbound$);
  const closed = once(client, 'close');
  transport.hold(true);
  outbound$.next(closeSocket(1001, 'the pod goes away'));
  transport.hold(true);
  expect(socket.isPaused()).toBe(false);
  await closed;
  await ended;
  expect(closes).toEqual([1001]);
});
