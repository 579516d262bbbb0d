import { fill, handPod, load, publication } from './service.mjs';

const { checkPublication } = await load('hub/publication');
const { publicationBatch } = await load('hub/frame');

const oneRoom = await handPod();
fill(oneRoom, 1000, 1);
const manyRooms = await handPod();
fill(manyRooms, 10_000, 1000);
const crowd = await handPod();
fill(crowd, 20_000, 2000);
fill(crowd, 2, 1, 'pair');

const inOneRoom = publication('room-0');
const inManyRooms = Array.from({ length: 100 }, (_, i) => publication(`room-${i}`));
const inPair = publication('pair-0');
const tenMessages = Array.from({ length: 10 }, () => inOneRoom);

/** From what the broker delivers to what each member is handed. */
export default [
  { name: 'hub: room of 1,000, 1 message a turn', per: 'delivery', count: 1000, run: () => turn(oneRoom, [inOneRoom]) },
  { name: 'hub: room of 1,000, 10 messages a turn', per: 'delivery', count: 10_000, run: () => turn(oneRoom, tenMessages) },
  { name: 'hub: 1,000 rooms of 10, 100 of them speak', per: 'delivery', count: 1000, run: () => turn(manyRooms, inManyRooms) },
  { name: 'hub: room of 2, 20,000 members elsewhere', per: 'delivery', count: 2, run: () => turn(crowd, [inPair]) },
  {
    name: 'publication: checked',
    per: 'publication',
    count: 100,
    run: () => times(100, () => checkPublication(inOneRoom, 66_560)),
  },
  { name: 'frame: 10 publications joined', per: 'publication', count: 10, run: () => publicationBatch(tenMessages, 0) },
];

function turn({ bus, endTurn }, publications) {
  for (const each of publications) bus.next(each);
  endTurn();
}

function times(count, work) {
  for (let i = 0; i < count; i++) work();
}
