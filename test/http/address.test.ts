import { describe, expect, test } from '@jest/globals';
import { addressKey, clientAddress, readNetworks } from '../../src/http/address.js';

describe('networks', () => {
  test.each([
    ['10.0.0.0/8', '10.255.0.1', true],
    ['10.0.0.0/8', '11.0.0.1', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['10.1.2.3/32', '10.1.2.3', true],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', '2001:db8::1', false],
    ['::/0', '2001:db8::1', true],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['fe80::/10', 'fe80::1%eth0', true],
    ['10.0.0.0/8', '::ffff:10.0.0.1', true],
    ['::ffff:10.0.0.0/104', '10.0.0.1', true],
    ['::ffff:10.0.0.0/104', '::FFFF:10.0.0.1', true],
    ['10.0.0.0/8, 192.168.0.0/16', '192.168.7.7', true],
    ['10.0.0.0/8', '', false],
    ['10.0.0.0/8', 'localhost', false],
  ])('%s: %s is in it: %p', (text, address, is) => {
    expect(readNetworks(text)?.has(address)).toBe(is);
  });

  test.each([
    '',
    ',',
    '10.0.0.0/33',
    '::/129',
    '10.0.0/8',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    'localhost',
    '10.0.0.1 10.0.0.2',
  ])('%p is none', (text) => {
    expect(readNetworks(text)).toBeUndefined();
  });
});

describe('the client', () => {
  const trusted = readNetworks('10.0.0.0/8, fd00::/8');
  test.each<[what: string, peer: string | undefined, forwardedFor: readonly string[], client: string]>([
    ['the peer, who is no proxy', '203.0.113.9', [], '203.0.113.9'],
    ['the peer, who is no proxy, whatever it says', '203.0.113.9', ['198.51.100.1'], '203.0.113.9'],
    ['the proxy, which says nothing', '10.0.0.1', [], '10.0.0.1'],
    ['whom the proxy heard', '10.0.0.1', ['203.0.113.9'], '203.0.113.9'],
    ['whom the proxy heard, not whom that one claims to speak for', '10.0.0.1', ['198.51.100.1, 203.0.113.9'], '203.0.113.9'],
    ['behind two proxies', '10.0.0.1', ['198.51.100.1, 203.0.113.9, 10.0.0.2'], '203.0.113.9'],
    ['behind two proxies with a header each', '10.0.0.1', ['198.51.100.1', '203.0.113.9', '10.0.0.2'], '203.0.113.9'],
    ['the first, where all are trusted', '10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    ['the last that is an address', '10.0.0.1', ['203.0.113.9, unknown'], '10.0.0.1'],
    ['the last that is an address, further on', '10.0.0.1', ['203.0.113.9, unknown, 10.0.0.2'], '10.0.0.2'],
    ['whom the proxy heard, before an empty element', '10.0.0.1', ['203.0.113.9,'], '203.0.113.9'],
    [
      'whom the proxy heard, before empty elements and headers',
      '10.0.0.1',
      ['203.0.113.9, ,10.0.0.2 ,,', '', ' '],
      '203.0.113.9',
    ],
    ['without its port', '10.0.0.1', ['203.0.113.9:51234'], '203.0.113.9'],
    ['IPv6', 'fd00::1', ['2001:db8::9'], '2001:db8::9'],
    ['IPv6 in brackets', 'fd00::1', ['[2001:db8::9]:443'], '2001:db8::9'],
    ['IPv4 mapped into IPv6', '::ffff:10.0.0.1', ['::ffff:203.0.113.9'], '203.0.113.9'],
    ['IPv4 mapped into IPv6, in hexadecimal', '::ffff:a00:1', ['::ffff:cb00:7109'], '203.0.113.9'],
    ['IPv4 mapped into IPv6, in full', '0:0:0:0:0:FFFF:0a00:0001', ['0:0:0:0:0:ffff:203.0.113.9'], '203.0.113.9'],
    ['IPv4 mapped into IPv6, in brackets', '10.0.0.1', ['[::ffff:cb00:7109]:443'], '203.0.113.9'],
    ['IPv6 that only ends like a mapped address', 'fd00::1', ['1::ffff:cb00:7109'], '1::ffff:cb00:7109'],
    ['nobody, who is gone', undefined, ['203.0.113.9'], ''],
  ])('is %s', (_, peer, forwardedFor, client) => {
    expect(clientAddress(peer, forwardedFor, trusted)).toBe(client);
  });

  test('is the peer where no proxy is trusted', () => {
    expect(clientAddress('10.0.0.1', ['203.0.113.9'], undefined)).toBe('10.0.0.1');
  });
});

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:0DB8:1:2::', '2001:db8:1:2::/64'],
  ['2001:db8::6', '2001:db8:0:0::/64'],
  ['2001:db8::1:2:3:4:5', '2001:db8:0:1::/64'],
  ['::1', '0:0:0:0::/64'],
  ['1::', '1:0:0:0::/64'],
  ['1::2:3:4:5:192.0.2.1', '1:0:2:3::/64'],
  ['64:ff9b::192.0.2.1', '64:ff9b:0:0::/64'],
  ['', ''],
])('%s counts as %s', (address, key) => {
  expect(addressKey(address)).toBe(key);
});
