import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clientNetwork } from '../../../../src/api/plugins/client-network.js'

test('an IPv6 address stands for its network, any other for itself', () => {
  const networks = {
    '192.0.2.7': '192.0.2.7',
    '::ffff:192.0.2.7': '192.0.2.7',
    '2001:db8:0:1::5': '2001:db8:0:1',
    '2001:0DB8:0:1:aaaa:bbbb:cccc:dddd': '2001:db8:0:1',
    '2001:db8::': '2001:db8:0:0',
    '::1': '0:0:0:0',
    'fe80::1%eth0': 'fe80:0:0:0',
    '': ''
  }
  for (const [address, network] of Object.entries(networks)) assert.equal(clientNetwork(address), network, address)
})
