import t from 'tap'
import type { Test } from 'tap'
import { formatAddress, parseAddress } from '../../../services/config/address.js'
import { ConfigError } from '../../../services/errors/config-error.js'

/** The one line of a refused configuration; other errors fail the test. */
async function refusal (t: Test, run: () => unknown): Promise<string> {
  try {
    await run()
  } catch (error) {
    if (!(error instanceof ConfigError)) {
      t.fail('expected a ConfigError', { found: error })
      return ''
    }
    t.equal(error.name, 'ConfigError')
    t.notMatch(error.message, /[\r\n]/, 'one line')
    return error.message
  }
  t.fail('expected a ConfigError, nothing was thrown')
  return ''
}

t.test('an address is host and port, a bracketed IPv6 address, or a port alone', async t => {
  const table: Array<[string, string, number, string]> = [
    ['127.0.0.1:5000', '127.0.0.1', 5000, '127.0.0.1:5000'],
    ['localhost:0', 'localhost', 0, 'localhost:0'],
    [':5000', '::', 5000, '[::]:5000'],
    ['[::1]:5000', '::1', 5000, '[::1]:5000'],
    ['[::ffff:192.0.2.1]:80', '::ffff:192.0.2.1', 80, '[::ffff:192.0.2.1]:80'],
    ['registry.example:65535', 'registry.example', 65_535, 'registry.example:65535']
  ]
  for (const [text, host, port, shown] of table) {
    t.same(parseAddress(text), { host, port }, text)
    t.equal(formatAddress({ host, port }), shown)
  }
})

t.test('what is no address is refused', async t => {
  for (const addr of ['', 'localhost', '5000', 'localhost:', ':', ':port', 'a:65536', 'a:99999', 'a:123456', 'a:-1', 'a:1.5', 'a: 80', '::1:5000', '::1', '[::1]', '[]:5000', '[x]:5000', '1:2:3', 'http://a:80']) {
    t.equal(await refusal(t, () => parseAddress(addr)), `http.addr: not host:port: ${addr}`)
  }
})
