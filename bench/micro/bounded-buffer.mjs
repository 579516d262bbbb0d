import { Subject, load, sink } from './service.mjs';

const { boundedBuffer } = await load('operators/boundedBuffer');

const ITEMS = 200;
const ITEM = { messages: 1, bytes: 200 };

/** A buffer between a source and a consumer that is full when it is told so. */
function buffer(options = {}) {
  const source$ = new Subject();
  const writable$ = new Subject();
  const consumer = { isWritable: true, writable$ };
  source$
    .pipe(boundedBuffer(consumer, { maxMessages: 256, maxBytes: Infinity, weigh: (item) => item, ...options }))
    .subscribe(sink());
  const send = (items) => {
    for (let i = 0; i < items; i++) source$.next(ITEM);
  };
  const fill = () => {
    consumer.isWritable = false;
  };
  const drain = () => {
    consumer.isWritable = true;
    writable$.next();
  };
  return { send, fill, drain };
}

const passing = buffer();
const waiting = buffer();
const dropping = buffer({
  maxMessages: 100,
  dropOldest: { mayDrop: () => true, withoutOldest: () => undefined, gap: () => ITEM },
});

/** What stands in every connection's way out. */
export default [
  { name: 'boundedBuffer: the consumer takes all', per: 'item', count: ITEMS, run: () => passing.send(ITEMS) },
  { name: 'boundedBuffer: full, then drained', per: 'item', count: ITEMS, run: () => throughFull(waiting) },
  { name: 'boundedBuffer: full, half dropped, then drained', per: 'item', count: ITEMS, run: () => throughFull(dropping) },
];

function throughFull({ send, fill, drain }) {
  fill();
  send(ITEMS);
  drain();
}
