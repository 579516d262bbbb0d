import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { afterEach, describe, expect, test } from '@jest/globals';
import { NEVER, Subject, Subscription, concat, firstValueFrom, of } from 'rxjs';
import type { ClientOptions } from 'ws';
import { checkConfig, type Settings } from '../../src/config/config.js';
import type { Authenticate } from '../../src/auth/verify.js';
import { authorizeByClaims, type Identity } from '../../src/auth/grant.js';
import { Connections } from '../../src/gateway/connections.js';
import { readHeaders, target } from '../../src/http/request.js';
import { silentLogger } from '../../src/runtime/log.js';
import { noMetrics } from '../../src/runtime/metrics.js';
import { nodeRuntime } from '../../src/runtime/node-runtime.js';
import { connect, refused } from '../support/client.js';
import { virtualPod } from '../support/pod.js';

const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

/** A reception behind an HTTP server of the test's own, with nobody who calls `hold` but the test. */
async function receive(settings: Settings, authenticate?: Authenticate) {
  const config = checkConfig(settings);
  const refusals: string[] = [];
  const metrics = { ...noMetrics, upgradeRefused: (code: string) => refusals.push(code) };
  const pod = virtualPod(nodeRuntime.scheduler, { limits: config, metrics, runtime: nodeRuntime });
  const gatekeeper = authenticate && { authenticate, authorize: authorizeByClaims, log: silentLogger };
  const reception = new Connections(pod, config, gatekeeper);
  /** The server's side of each connection, in the order in which they came. */
  const sockets: Socket[] = [];
  const http = createServer().listen(0, '127.0.0.1');
  http.on('upgrade', (request, socket: Socket, head) => {
    sockets.push(socket);
    const found = target(request.url ?? '', config.basePath);
    if (found.kind === 'page') throw new Error(`${found.path} is a page`);
    const { method, rawHeaders } = request;
    reception.receive(
      { request, socket, head },
      { method, headers: readHeaders(rawHeaders), peer: socket.remoteAddress, segment: found.segment, query: found.query },
    );
  });
  ends.push(() => {
    for (const connection of reception.connections) connection.terminate();
    http.close();
    pod.hub.close();
  });
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  return { pod, reception, port, sockets, refusals };
}

/** How an upgrade is refused. */
async function refusal(port: number, path: string, options: ClientOptions = {}) {
  const { status, headers, body } = await refused(port, path, options);
  return { status, code: body.error.code, retryAfter: headers['retry-after'] };
}

const OVERLOADED = { status: 503, code: 'overloaded', retryAfter: '5' };

describe('a pod that is full', () => {
  test('refuses with 503 and Retry-After while it holds as many bytes as it may', async () => {
    const { pod, port, refusals } = await receive({ maxHeldBytes: 10_000_000 });
    pod.held.add(9_999_999);
    await connect(port, '/ws/tea');
    pod.held.add(1);
    expect(await refusal(port, '/ws/tea')).toEqual(OVERLOADED);
    pod.held.add(-500_000);
    expect(await refusal(port, '/ws')).toEqual(OVERLOADED);
    expect(refusals).toEqual(['overloaded', 'overloaded']);
    pod.held.add(-500_000);
    await connect(port, '/ws/tea');
    expect(refusals).toHaveLength(2);
  });

  test('refuses with 503 and Retry-After who asks for a room more than it may transform, and lets in who asks for none of those', async () => {
    const { port, refusals } = await receive({ maxRooms: 2 });
    const first = await connect(port, '/ws?room=tea&room=milk');
    expect(await refusal(port, '/ws/coffee')).toEqual(OVERLOADED);
    expect(await refusal(port, '/ws?room=tea&room=coffee')).toEqual(OVERLOADED);
    expect(refusals).toEqual(['overloaded', 'overloaded']);
    await connect(port, '/ws');
    await connect(port, '/ws/milk');
    await first.close();
    // Nobody is in tea any more: it lingers, and gives way.
    await connect(port, '/ws/coffee');
    expect(await refusal(port, '/ws/tea')).toEqual(OVERLOADED);
  });

  test('is asked once more when the token has been checked: it may have filled up meanwhile', async () => {
    const asked$ = new Subject<void>();
    const identity$ = new Subject<Identity>();
    const { pod, port, refusals } = await receive({ maxRooms: 1, maxHeldBytes: 10_000_000 }, () => {
      asked$.next();
      return firstValueFrom(identity$);
    });
    const knock = async (meanwhile: () => void, undo: () => void) => {
      const asked = firstValueFrom(asked$);
      const answer = refusal(port, '/ws/tea', { headers: { Authorization: 'Bearer token' } });
      await asked;
      meanwhile();
      identity$.next({ subject: 'ada', claims: {}, expiresAtMs: nodeRuntime.wallMs() + 3_600_000 });
      expect(await answer).toEqual(OVERLOADED);
      undo();
    };
    const milk = new Subscription();
    await knock(
      () => {
        milk.add(pod.hub.member$('ben', concat(of({ kind: 'join', rooms: ['milk'] } as const), NEVER)).subscribe());
      },
      () => {
        milk.unsubscribe();
      },
    );
    await knock(
      () => {
        pod.held.add(10_000_000);
      },
      () => {
        pod.held.add(-10_000_000);
      },
    );
    expect(refusals).toEqual(['overloaded', 'overloaded']);
  });
});

test('hold leaves the socket of each connection unread, and reads all of them again', async () => {
  const { reception, port, sockets } = await receive({});
  const clients = [await connect(port, '/ws/tea'), await connect(port, '/ws/milk'), await connect(port)];
  const unread = () => sockets.map((socket) => socket.isPaused());
  expect(unread()).toEqual([false, false, false]);
  reception.hold(true);
  expect(unread()).toEqual([true, true, true]);
  clients[0]?.chat('waits in the kernel');
  reception.hold(false);
  expect(unread()).toEqual([false, false, false]);
  await clients[0]?.hearsChat('waits in the kernel');
});
