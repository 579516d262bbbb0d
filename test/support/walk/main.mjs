// Sends a message through the built service, and prints the functions that it passes as JSON: `{ file, name, id }`, by first call.
import { once } from 'node:events';
import { register } from 'node:module';
import { WebSocket } from 'ws';

const MESSAGES = 6;

/** The functions that have been called since the present message was sent. */
let calls = new Map();

globalThis.called = (file, name, id) => {
  if (!calls.has(`${file} ${id}`)) calls.set(`${file} ${id}`, { file, name, id });
};
register('./hooks.mjs', import.meta.url);
const { createChatServer, memoryBroker, readConfig, silentLogger } = await import('../../../dist/index.js');

const config = readConfig({
  HOST: '127.0.0.1',
  PORT: '0',
  PING_INTERVAL_MS: '600000',
  PONG_TIMEOUT_MS: '900000',
  PRESENCE_MAX_MEMBERS: '0',
});
const server = createChatServer({ config, broker: memoryBroker(), logger: silentLogger });
const { port } = await server.listen();
const client = new WebSocket(`ws://127.0.0.1:${port}/api/chat-api/ws/tea`);
await once(client, 'message');
const walks = [];
for (let nth = 0; nth < MESSAGES; nth++) {
  calls = new Map();
  client.send(JSON.stringify({ type: 'chat', data: { content: 'hello' } }));
  await once(client, 'message');
  walks.push([...calls.values()]);
}
client.terminate();
await server.close();
// The first message also makes the pipeline, and a tick of the clock may fall into another: the shortest walk has neither.
walks.sort((a, b) => a.length - b.length);
console.log(JSON.stringify(walks[0]));
