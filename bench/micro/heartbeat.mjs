import { Subject, load, sink } from './service.mjs';

const { heartbeat } = await load('operators/heartbeat');

const CONNECTIONS = 10_000;
const PING_INTERVAL_MS = 25_000;
const TICK = { kind: 'tick' };
const ALIVE = { kind: 'alive' };
const PING = { kind: 'ping' };

const clock = { nowMs: 0 };
const options = {
  now: () => clock.nowMs,
  firstPingMs: () => Math.random() * PING_INTERVAL_MS,
  pingIntervalMs: PING_INTERVAL_MS,
  // Nobody is heard of here, and nobody should be given up.
  pongTimeoutMs: Infinity,
  ping: PING,
  isTick: ({ kind }) => kind === 'tick',
  isSignOfLife: ({ kind }) => kind === 'alive',
};
const sources = Array.from({ length: CONNECTIONS }, () => {
  const source$ = new Subject();
  source$.pipe(heartbeat(options)).subscribe(sink());
  return source$;
});

/** What ten thousand connections do at each tick. */
export default [
  { name: 'heartbeat: a tick, no ping due', per: 'connection', count: CONNECTIONS, run: () => tellAll(TICK) },
  { name: 'heartbeat: a tick, every ping due', per: 'connection', count: CONNECTIONS, run: () => tickLater(PING_INTERVAL_MS) },
  { name: 'heartbeat: a sign of life', per: 'connection', count: CONNECTIONS, run: () => tellAll(ALIVE) },
];

function tickLater(ms) {
  clock.nowMs += ms;
  tellAll(TICK);
}

function tellAll(value) {
  for (const source$ of sources) source$.next(value);
}
