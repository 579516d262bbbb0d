import { CHAT, NEVER, Subject, handPod, load, sink } from './service.mjs';

const { connection } = await load('connection/connection');
const { checkMessage } = await load('dispatch/check');
const { routeBy } = await load('operators/routeBy');

const MESSAGES = 100;
const CLIENT_PING = JSON.stringify({ type: 'ping', id: 'a', data: { n: 1 } });
const NONSENSE = JSON.stringify({ type: 'chat', data: { content: 1 } });

/** A socket that takes all that it is given. */
const READY = { isWritable: true, writable$: NEVER };

/** A connection in one room of its own. @returns sends it a text, and `endTurn`, which delivers what it published */
async function client() {
  const { pod, endTurn } = await handPod();
  const inbound$ = new Subject();
  connection(inbound$, READY, { pod, id: 'client', identity: 'client', rooms: ['room'], access: undefined }).subscribe(sink());
  return { pod, endTurn, send: (text) => inbound$.next({ kind: 'text', text }) };
}

const chatter = await client();
const pinger = await client();
// Every other message is a good one: the tenth bad one in a row would close the connection.
const mistaken = await client();

const values$ = new Subject();
values$.pipe(routeBy({ key: (value) => value % 3, route: () => (value$) => value$ })).subscribe(sink());

const checkOptions = { handlers: chatter.pod.handlers, maxMessageBytes: 65_536, identity: 'client', rooms: ['room'] };

/** One connection, from the text of its client to the frames for its socket. */
export default [
  {
    name: 'checkMessage: a chat message',
    per: 'message',
    count: MESSAGES,
    run: () => times(() => checkMessage(CHAT, checkOptions)),
  },
  { name: 'routeBy: three keys', per: 'value', count: MESSAGES, run: () => times((i) => values$.next(i)) },
  { name: 'connection: chat, published and delivered', per: 'message', count: MESSAGES, run: () => turn(chatter, () => CHAT) },
  { name: 'connection: ping, answered', per: 'message', count: MESSAGES, run: () => turn(pinger, () => CLIENT_PING) },
  {
    name: 'connection: chat and nonsense by turns',
    per: 'message',
    count: MESSAGES,
    run: () => turn(mistaken, (i) => (i % 2 === 0 ? CHAT : NONSENSE)),
  },
];

function turn({ send, endTurn }, textOf) {
  times((i) => send(textOf(i)));
  endTurn();
}

function times(work) {
  for (let i = 0; i < MESSAGES; i++) work(i);
}
