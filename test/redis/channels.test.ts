import { expect, test } from '@jest/globals';
import { GLOBAL_ROOM } from '../../src/protocol/protocol.js';
import { roomChannels } from '../../src/redis/channels.js';

const channels = roomChannels('chat-api');

test.each([
  ['tea', 'chat-api:room:tea'],
  ['tea room', 'chat-api:room:tea room'],
  ['global', 'chat-api:room:global'],
  ['a:room:b', 'chat-api:room:a:room:b'],
  ['日本', 'chat-api:room:日本'],
  [GLOBAL_ROOM, 'chat-api:global'],
])('the room %p has the channel %p, and the channel the room', (room, channel) => {
  expect(channels.channelOf(room)).toBe(channel);
  expect(channels.roomOf(channel)).toBe(room);
});

test.each([
  '',
  'chat-api',
  'chat-api:room',
  'chat-api:globals',
  'chat-api:canary:1',
  'other:room:tea',
  'other:global',
  'xchat-api:global',
])('the channel %p belongs to no room', (channel) => {
  expect(channels.roomOf(channel)).toBeUndefined();
});

test('the room prefix without a name belongs to no room', () => {
  expect(channels.roomOf('chat-api:room:')).toBeUndefined();
});

test('the channels begin with the prefix as it is given', () => {
  const other = roomChannels('{eu}:chat');
  expect([other.channelOf('tea'), other.channelOf(GLOBAL_ROOM)]).toEqual(['{eu}:chat:room:tea', '{eu}:chat:global']);
  expect(other.roomOf('chat-api:room:tea')).toBeUndefined();
});
