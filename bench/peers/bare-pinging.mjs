// bare-ws.mjs, and each connection is pinged every 25 s, the first time after a random part of that. PORT, REDIS_URL.
import { createServer } from 'node:http';
import { randomUUID } from 'node:crypto';
import { clearTimeout, setInterval, setTimeout } from 'node:timers';
import { WebSocketServer } from 'ws';
import Redis from 'ioredis';

const PING_INTERVAL_MS = 25_000;

const rooms = new Map();
const all = new Set();
const pub = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
const sub = new Redis(process.env.REDIS_URL ?? 'redis://127.0.0.1:6379');
await sub.subscribe('bare');
sub.on('message', (_, text) => {
  const { room } = JSON.parse(text);
  const data = Buffer.from(text);
  for (const ws of room ? (rooms.get(room) ?? []) : all) ws.send(data, { binary: false });
});
const server = createServer((q, r) => r.end('ok'));
const wss = new WebSocketServer({ server, perMessageDeflate: false, maxPayload: 65536 });
wss.on('connection', (ws, req) => {
  const room = req.url.split('/ws/')[1];
  const id = randomUUID();
  all.add(ws);
  if (room) (rooms.get(room) ?? rooms.set(room, new Set()).get(room)).add(ws);
  ws.on('message', (raw) => {
    const m = JSON.parse(raw);
    const envelope = { id: randomUUID(), type: m.type, room, from: id, data: m.data, timestamp: new Date().toISOString() };
    pub.publish('bare', JSON.stringify(envelope));
  });
  let timer = setTimeout(() => {
    ws.ping();
    timer = setInterval(() => ws.ping(), PING_INTERVAL_MS);
  }, Math.random() * PING_INTERVAL_MS);
  ws.on('close', () => {
    clearTimeout(timer);
    all.delete(ws);
    rooms.get(room)?.delete(ws);
  });
});
server.listen(+process.env.PORT || 9001, '127.0.0.1');
