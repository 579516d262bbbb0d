import { setTimeout as sleep } from 'node:timers/promises';
import { startLoad } from '../load.mjs';
import { formats, samplesOf } from '../figures.mjs';
import { takeRounds, withServer } from '../rounds.mjs';
import { COMPARED, SERVERS } from '../servers.mjs';

const STALLED = 100;
const MESSAGES = 160;
const RATE = 40;
/** With what JSON puts around it, just below the 64 KiB that a message may have. */
const CONTENT_BYTES = 65_400;
const MB = 1e6;
const ALL_MB = (MESSAGES * 65_536) / MB;
/** Frame and envelope come on top, and what Redis' replies were cut from. */
const MAX_RATIO = 1.25;
/** Less would mean that the kernel took what was to be held. */
const MIN_RATIO = 0.5;

const held = ({ heldBytes }) => heldBytes / MB;

/** A room whose members read nothing: what waits for them is held once, or once for each. */
export const stalledRoom = {
  name: 'stalled-room',
  title: `${MESSAGES} messages of 64 KiB to a room of ${STALLED} members, all stalled`,
  about: `One more member sends and reads. The table shows the growth of \`arrayBuffers\` of \`process.memoryUsage()\`, read in the process after a garbage collection, from before the first connection until all messages have been sent. ${MESSAGES} messages are within the limit of 256 per member, so no connection is closed. Clients request small TCP segments, so the kernel buffers little.`,
  parameters: {
    connections: STALLED + 1,
    rooms: 1,
    senders: 1,
    rate: RATE,
    messages: MESSAGES,
    contentBytes: CONTENT_BYTES,
    stalled: STALLED,
  },
  run: (bench) =>
    takeRounds(
      bench,
      COMPARED.map((server) => ({ server })),
      ({ server }) => measureHeld(bench, server),
      brief,
    ),
  table: (samples) => ({
    columns: ['server', 'arrayBuffers grew by', 'resident set grew by', 'of the messages’ own bytes', 'closed by then'],
    rows: samples.map(({ server, heldBytes, residentBytes, load }) => [
      SERVERS[server].title,
      formats.mb(heldBytes / MB),
      formats.mb(residentBytes / MB),
      `× ${formats.times(heldBytes / MB / ALL_MB)}`,
      formats.count(load.closed),
    ]),
  }),
  checks: (samples) => {
    const [ours] = samplesOf(samples, 'chat-api');
    const share = held(ours) / ALL_MB;
    return [
      {
        what: `growth of arrayBuffers, and of the resident set, for ${formats.mb(ALL_MB)} of messages`,
        values: Object.fromEntries(
          samples.map((sample) => [
            sample.server,
            `${formats.mb(held(sample))}, resident ${formats.mb(sample.residentBytes / MB)}`,
          ]),
        ),
        target: `arrayBuffers: once, ≤ ${MAX_RATIO} × ${formats.mb(ALL_MB)}`,
        reached: share >= MIN_RATIO && share <= MAX_RATIO && ours.stalledOpen,
      },
    ];
  },
};

function measureHeld(bench, name) {
  return withServer(bench, name, { probeMemory: true }, async (server) => {
    const before = await server.memory();
    const load = startLoad(server, { ...stalledRoom.parameters, seconds: MESSAGES / RATE + 4, warmUpSeconds: 0 });
    await load.measuring;
    await sleep((MESSAGES / RATE + 2) * 1000);
    const after = await server.memory();
    const stalledOpen = name !== 'chat-api' || (await server.metric('chat_connections')) === STALLED + 1;
    return {
      heldBytes: after.arrayBuffers - before.arrayBuffers,
      residentBytes: after.rss - before.rss,
      stalledOpen,
      load: await load.result(),
    };
  });
}

function brief({ heldBytes, residentBytes, load }) {
  return `arrayBuffers grew by ${formats.mb(heldBytes / MB)}, the resident set by ${formats.mb(residentBytes / MB)}, ${load.sent} sent`;
}
