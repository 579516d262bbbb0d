import { CHAT, Subject, Subscriber, handPod, load, sink } from './service.mjs';

const { conversation } = await load('connection/conversation');
const { Intake } = await load('connection/intake');
const { Membership } = await load('connection/membership');
const { judge } = await load('connection/judge');
const { routeBy } = await load('operators/routeBy');

const MESSAGES = 100;
const CLIENT_PING = JSON.stringify({ type: 'ping', id: 'a', data: { n: 1 } });
const NONSENSE = JSON.stringify({ type: 'chat', data: { content: 1 } });

const hand = await handPod();
const context = { pod: hand.pod, id: 'client', identity: 'client', rooms: ['room'], access: undefined };

/** What a connection in one room does with the texts that it is told. */
function talker() {
  const text$ = new Subject();
  const intake = new Intake(hand.pod.limits.publishWindow, hand.pod.pulse.now);
  const membership = new Membership(new Subscriber(), context, intake);
  text$.pipe(conversation(context, intake, membership)).subscribe(sink());
  intake.welcome();
  return text$;
}

const chatter = talker();
const pinger = talker();
// Every other message is a good one, or the tenth in a row would be its last.
const mistaken = talker();

const values$ = new Subject();
values$.pipe(routeBy({ key: (value) => value % 3, route: () => (value$) => value$ })).subscribe(sink());

const judgeOptions = { handlers: hand.pod.handlers, maxMessageBytes: 65_536, identity: 'client', rooms: ['room'] };

/** From what a client says to what that does. */
export default [
  { name: 'judge: a chat message', per: 'message', count: MESSAGES, run: () => times(() => judge(CHAT, judgeOptions)) },
  { name: 'routeBy: three keys', per: 'value', count: MESSAGES, run: () => times((i) => values$.next(i)) },
  { name: 'conversation: chat, published', per: 'message', count: MESSAGES, run: () => times(() => chatter.next(CHAT)) },
  { name: 'conversation: ping, answered', per: 'message', count: MESSAGES, run: () => times(() => pinger.next(CLIENT_PING)) },
  { name: 'conversation: chat and nonsense by turns', per: 'message', count: MESSAGES, run: () => times(tellByTurns) },
];

function tellByTurns(i) {
  mistaken.next(i % 2 === 0 ? CHAT : NONSENSE);
}

function times(work) {
  for (let i = 0; i < MESSAGES; i++) work(i);
}
