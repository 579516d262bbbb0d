import { describe, expect, test } from '@jest/globals';
import { majorityOf, readEndpoints, readInfo, readMoved, readNodes, serverAt } from '../../../src/redis/cluster/cluster-view.js';
import { LinkError } from '../../../src/redis/link.js';

const A = 'aaa 10.0.0.1:6379@16379 myself,master - 0 0 3 connected 0-5460 5462 [93-<-bbb] [77->-ccc]';
const B = 'bbb 10.0.0.2:6379@16379,b.example master - 0 1700000000000 7 connected 5463-10922';
const C = 'ccc 10.0.0.3:6379@16379 master - 0 1700000000000 2 connected 5461 10923-16383';
const D = 'ddd 10.0.0.4:6379@16379 slave bbb 0 1700000000000 7 connected';

function nodes(...lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

describe('the reply to CLUSTER NODES', () => {
  test('lists the slots and the config epoch of each node; slots that are being migrated belong to their owner', () => {
    expect(readNodes(nodes(A, B, C, D))).toEqual({
      id: 'aaa',
      hasMajority: true,
      nodes: [
        { id: 'aaa', address: '10.0.0.1:6379@16379', epoch: 3, slots: [{ first: 0, last: 5460 }, { first: 5462, last: 5462 }] }, // prettier-ignore
        { id: 'bbb', address: '10.0.0.2:6379@16379,b.example', epoch: 7, slots: [{ first: 5463, last: 10_922 }] },
        { id: 'ccc', address: '10.0.0.3:6379@16379', epoch: 2, slots: [{ first: 5461, last: 5461 }, { first: 10_923, last: 16_383 }] }, // prettier-ignore
        { id: 'ddd', address: '10.0.0.4:6379@16379', epoch: 7, slots: [] },
      ],
    });
  });

  test.each([
    ['one master of three that does not answer', [A, B.replace('master', 'master,fail?'), C, D], true],
    ['one master of three that failed', [A, B.replace('master', 'master,fail'), C, D], true],
    [
      'two masters of three that do not answer',
      [A, B.replace('master', 'master,fail?'), C.replace('master', 'master,fail?'), D],
      false,
    ],
    ['replicas that do not answer', [A, B, C, D.replace('slave', 'slave,fail?')], true],
    ['a server that knows no slots at all', ['aaa :6379@16379 myself,master - 0 0 0 connected'], false],
  ])('shows whether the server has a majority: %s', (_, lines, hasMajority) => {
    expect(readNodes(nodes(...lines)).hasMajority).toBe(hasMajority);
  });

  test.each([
    ['no text', [1, 2]],
    ['nothing', ''],
    ['no line of the server itself', nodes(B)],
    ['too few words', nodes(A, 'bbb 10.0.0.2:6379@16379')],
    ['an epoch that is no number', nodes(A.replace(' 3 connected', ' x connected'))],
    ['a slot that is no number', nodes(`${A} slots`)],
    ['a range that ends before it begins', nodes(`${A} 9-8`)],
    ['a slot that there is not', nodes(`${A} 16384`)],
  ])('is malformed: %s', (_, answer) => {
    expect(() => readNodes(answer)).toThrow(LinkError);
  });
});

describe('the reply to CLUSTER SLOTS', () => {
  test('has the address of each node, replicas included; a missing host is that of the server that was asked', () => {
    const rows = [
      [0, 1, ['10.0.0.1', 7000, 'aaa', []], ['b.example', 7001, 'bbb', []]],
      [3, 4, [null, 7002, 'ccc', []], ['', 7003, 'ddd'], ['?', 7004, 'eee']],
    ];
    expect([...readEndpoints(rows, 'seed')]).toEqual([
      ['aaa', '10.0.0.1:7000'],
      ['bbb', 'b.example:7001'],
      ['ccc', 'seed:7002'],
      ['ddd', 'seed:7003'],
      ['eee', 'seed:7004'],
    ]);
  });

  test.each([
    ['a text', 'OK'],
    ['a row that is no list', [1]],
    ['a server that is no list', [[0, 1, 'a:1']]],
    ['a port that is no number', [[0, 1, ['a', '1', 'aaa']]]],
    ['no id', [[0, 1, ['a', 1]]]],
  ])('is malformed: %s', (_, answer) => {
    expect(() => readEndpoints(answer, 'seed')).toThrow(LinkError);
  });
});

describe('the reply to CLUSTER INFO', () => {
  const info = (state: string, assigned: number, failed: number) =>
    `cluster_state:${state}\r\ncluster_slots_assigned:${assigned}\r\ncluster_slots_fail:${failed}\r\ncluster_size:3\r\n`;

  test.each([
    ['all is well', info('ok', 16_384, 0), { isOk: true, isCutOff: false }],
    ['a master failed', info('fail', 16_384, 5461), { isOk: false, isCutOff: false }],
    ['slots have no owner', info('fail', 16_383, 0), { isOk: false, isCutOff: false }],
    ['neither, so that no majority is left', info('fail', 16_384, 0), { isOk: false, isCutOff: true }],
  ])('gives the state of the cluster: %s', (_, answer, state) => {
    expect(readInfo(answer)).toEqual(state);
  });

  test.each([
    ['a number', 1],
    ['another text', 'OK'],
  ])('is malformed: %s', (_, answer) => {
    expect(() => readInfo(answer)).toThrow(LinkError);
  });
});

describe('an error reply', () => {
  test.each([
    ['MOVED 3999 127.0.0.1:6381', { slot: 3999, server: '127.0.0.1:6381' }],
    ['MOVED 3999 ::1:6381', undefined],
    ['MOVED 3999 :6381', undefined],
    ['CLUSTERDOWN The cluster is down', undefined],
    ['MOVED', undefined],
  ])('may redirect to a server: %s', (reason, moved) => {
    expect(readMoved(reason)).toEqual(moved);
  });
});

test.each([
  ['10.0.0.1:6379@16379', '10.0.0.1:6379'],
  ['10.0.0.1:6379@16379,b.example', '10.0.0.1:6379'],
  ['::1:6379@16379', '::1:6379'],
  [':6379@16379', undefined],
  [':0@0', undefined],
])('the address %s has the server %s', (address, server) => {
  expect(serverAt(address)).toBe(server);
});

test.each([
  [1, 1],
  [2, 2],
  [3, 2],
  [4, 3],
  [5, 3],
])('of %d, %d are a majority', (count, majority) => {
  expect(majorityOf(count)).toBe(majority);
});
