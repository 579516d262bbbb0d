import { expect, test } from '@jest/globals';
import { lastValueFrom, of } from 'rxjs';
import { LinkError } from '../../../src/redis/link.js';
import { DemotedError, isMaster$ } from '../../../src/redis/liveness/master.js';
import { nodeRuntime } from '../../../src/runtime/node-runtime.js';
import { ScriptedLink } from '../../support/redis-link.js';

/** A link whose server gives this reply to ROLE. */
function linkTo(answer: unknown): ScriptedLink {
  const link = new ScriptedLink(nodeRuntime.scheduler);
  link.call = () => of(answer);
  return link;
}

async function verdict(answer: unknown): Promise<unknown> {
  try {
    return await lastValueFrom(isMaster$(linkTo(answer), 100, nodeRuntime), { defaultValue: 'a master' });
  } catch (error) {
    return error;
  }
}

test('a server whose ROLE is master is verified', async () => {
  expect(await verdict(['master', 0, []])).toBe('a master');
});

test('a replica is a demoted server', async () => {
  const error = await verdict(['slave', '127.0.0.1', 6379, 'connected', 0]);
  expect(error).toBeInstanceOf(DemotedError);
  expect(error).toMatchObject({ message: 'the server is a slave, not a master' });
});

test.each([[null], ['master'], [1], [[]], [[null]], [[['master']]], [{}]])(
  'a malformed reply to ROLE ends the connection: %j',
  async (answer) => {
    const error = await verdict(answer);
    expect(error).toBeInstanceOf(LinkError);
    expect(error).not.toBeInstanceOf(DemotedError);
  },
);
