import { BlockList, isIP, isIPv4 } from 'node:net';

/** A set of addresses. */
export interface Networks {
  /** Whether an address, as a socket or a header has it, is in the set. */
  has(address: string): boolean;
  /** The addresses as they were given; the log shows them at the start. */
  toString(): string;
}

/** Whether a value has the shape of `Networks`. */
export function isNetworks(given: unknown): given is Networks {
  return typeof given === 'object' && given !== null && 'has' in given;
}

/**
 * Networks in CIDR notation, comma-separated (RFC 4632, RFC 4291 section 2.3); an address alone is a network of one.
 *
 * @returns undefined where one of them is not a network
 */
export function readNetworks(text: string): Networks | undefined {
  const list = new BlockList();
  for (const network of text.split(',')) {
    const [, address = '', bits] = /^([^/]+?)(?:\/(\d{1,3}))?$/.exec(network.trim()) ?? [];
    const version = isIP(address);
    const most = version === 4 ? 32 : 128;
    const length = bits === undefined ? most : Number(bits);
    if (version === 0 || length > most) return undefined;
    list.addSubnet(address, length, family(address));
  }
  return {
    has: (text) => {
      const address = readAddress(text);
      return address !== undefined && list.check(address, family(address));
    },
    toString: () => text,
  };
}

/**
 * The address of a request's client: the peer of its connection or, where that is a trusted proxy, an element of `X-Forwarded-For`. Each
 * proxy appends its own peer, so from the end the first address that is not trusted is the client's; all before it the client may have made up.
 *
 * @param forwardedFor every value of the header
 * @returns an address; empty where the peer is gone already
 */
export function clientAddress(peer: string | undefined, forwardedFor: readonly string[], trusted: Networks | undefined): string {
  let address = readAddress(peer ?? '') ?? '';
  if (trusted === undefined) return address;
  // Empty elements of a list are ignored (RFC 9110 section 5.6.1.2).
  const reported = forwardedFor
    .flatMap((value) => value.split(','))
    .map((element) => element.trim())
    .filter((element) => element !== '');
  while (trusted.has(address)) {
    const before = readAddress(reported.pop() ?? '');
    if (before === undefined) break;
    address = before;
  }
  return address;
}

/** The key by which connections are limited: an IPv4 address, or the /64 network of an IPv6 address, all of which one client may have. */
export function addressKey(address: string): string {
  if (isIP(address) !== 6) return address;
  const network = groupsOf(address)
    .slice(0, 4)
    .map((group) => group.toString(16));
  return `${network.join(':')}::/64`;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** Drops the port that some proxies add, and unmaps IPv4 addresses, which a server on IPv6 sees mapped (RFC 4291 section 2.5.5.2), in any spelling. */
function readAddress(text: string): string | undefined {
  const bare = text.replace(/^\[([^\]]*)\](:\d+)?$/, '$1').replace(/^(\d+(?:\.\d+){3}):\d+$/, '$1');
  const version = isIP(bare);
  if (version === 0) return undefined;
  const address = bare.replace(/%.*$/, '');
  if (version === 4) return address;
  const [a, b, c, d, e, f, high = 0, low = 0] = groupsOf(address);
  const isMapped = f === 0xffff && [a, b, c, d, e].every((group) => group === 0);
  return isMapped ? [high >> 8, high & 255, low >> 8, low & 255].join('.') : address;
}

/** The eight numbers of an IPv6 address without a zone (RFC 4291 section 2.2). */
function groupsOf(address: string): readonly number[] {
  const [head = [], tail] = address.split('::').map(numbersIn);
  if (tail === undefined) return head;
  return [...head, ...Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

/** The numbers of one side of the `::`; the last two may be written as an IPv4 address. */
function numbersIn(side: string): readonly number[] {
  if (side === '') return [];
  return side.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number);
    return [(a << 8) | b, (c << 8) | d];
  });
}
