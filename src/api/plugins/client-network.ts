/** What an address without a key is known by: whoever has an IPv6 address has all of its network. */
import { isIPv6 } from 'node:net'

/** Groups of an IPv6 address that name its network. */
const networkGroups = 4
const groupsOfAddress = 8

const groupsOf = (part: string): string[] => part === '' ? [] : part.split(':')

/** The first 64 bits of an IPv6 address, any other address whole. */
export function clientNetwork (address: string): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(plain)) return plain
  const [before, after] = plain.split('::').map(groupsOf) as [string[], string[] | undefined]
  const zeros = Array.from({ length: after ? groupsOfAddress - before.length - after.length : 0 }, () => '0')
  return [...before, ...zeros, ...after ?? []].slice(0, networkGroups)
    .map(group => Number.parseInt(group, 16).toString(16)).join(':')
}
