import { rm } from 'node:fs/promises'
import { PassThrough } from 'node:stream'
import { pino } from 'pino'
import t from 'tap'
import { buildServer } from '../server.js'
import { accessFormat } from '../services/log/access-line.js'
import { AccessLog } from '../services/log/access-log.js'
import { errorRecord } from '../services/log/error-text.js'
import { lineFormat } from '../services/log/formats.js'
import type { Fields, Level } from '../services/log/formats.js'
import { formatted } from '../services/log/pino-lines.js'
import { MemoryDriver } from '../services/storage/memory.js'
import { basic, htpasswdFile } from './helpers/auth.js'
import { FaultDriver } from './helpers/fault-driver.js'

const PASSWORD = 'correct-horse-battery'
const SECRETS = [PASSWORD, basic('ann', PASSWORD).slice(6), 'wrong-password', basic('ann', 'wrong-password').slice(6), 'eyJhbGciOiJFUzI1NiJ9', 'f00dsignature', 'refresh-me', '$2y$']

const AUTHORIZATIONS = [undefined, basic('ann', PASSWORD), basic('ann', 'wrong-password'), 'Bearer eyJhbGciOiJFUzI1NiJ9.e30.f00dsignature', 'Basic correct-horse-battery', 'eyJhbGciOiJFUzI1NiJ9']
const QUERIES = ['', '?X-Amz-Signature=f00dsignature&n=1', '?access_token=eyJhbGciOiJFUzI1NiJ9', '?password=wrong-password&digest=sha256:1', '?eyJhbGciOiJFUzI1NiJ9', '?%74oken=f00dsignature']
const PATHS = [['GET', '/v2/'], ['GET', '/v2/a/b/manifests/1'], ['PUT', '/v2/a/b/manifests/1'], ['POST', '/v2/a/b/blobs/uploads/'], ['DELETE', '/v2/a/b/manifests/1'], ['GET', '/v2/%zz'], ['GET', '/nowhere'], ['GET', `/v2/a/manifests/${'x'.repeat(600)}`], ['GET', '/auth/token']] as const
const HEADERS = { referer: 'https://ann:wrong-password@r.example/?sig=f00dsignature', cookie: 'session=f00dsignature', 'proxy-authorization': basic('ann', 'wrong-password'), 'x-api-key': 'f00dsignature' }

for (const formatter of ['text', 'terminal', 'json', 'logstash'] as const) {
  t.test(`${formatter}: no password, no token and no signature reaches the log or the access log, also when all goes wrong`, async t => {
    let written = ''
    const format = lineFormat(formatter)
    const logger = pino({ level: 'trace', base: null, serializers: { err: errorRecord } }, formatted(format, line => { written += line }))
    const lines = new PassThrough({ encoding: 'utf8' }).on('data', text => { written += String(text) })
    const access = new AccessLog({ format: accessFormat(formatter === 'json' || formatter === 'logstash' ? formatter : 'combined', {}), stream: lines, log: logger })
    const driver = new FaultDriver(new MemoryDriver())
    const path = await htpasswdFile(t, { ann: PASSWORD })
    const write = (level: Level, message: string, fields: () => Fields): void => { written += format({ time: 0, level, message, fields: fields() }) }
    const app = buildServer({
      logger,
      writeRequest: Object.assign(write, { writes: () => true }),
      access,
      storage: { inmemory: {} },
      auth: { htpasswd: { realm: 'Test', path, throttle: { free: 10_000 }, access: [{ repositories: ['**'], actions: ['*'], users: ['ann'] }], tokenserver: {} } },
      instances: { driver }
    })
    t.teardown(async () => { await app.close() })
    const all = async (): Promise<Set<number>> => {
      const statuses = new Set<number>()
      for (const authorization of AUTHORIZATIONS) {
        for (const [method, url] of PATHS) {
          for (const query of QUERIES) {
            const { statusCode } = await app.inject({ method, url: url + query, headers: { ...HEADERS, ...(authorization === undefined ? {} : { authorization }) }, ...(method === 'GET' ? {} : { payload: '{"password":"wrong-password"}' }) })
            statuses.add(statusCode)
          }
        }
      }
      return statuses
    }
    const statuses = await all()
    t.ok(statuses.has(200) && statuses.has(401))
    await app.inject({ method: 'POST', url: '/auth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: `grant_type=password&username=ann&password=${PASSWORD}&service=x` })
    await app.inject({ method: 'POST', url: '/auth/token', headers: { 'content-type': 'application/x-www-form-urlencoded' }, payload: 'grant_type=refresh_token&refresh_token=refresh-me&service=x' })
    driver.before = () => { throw new Error('GET https://key:wrong-password@s3.example/bucket?X-Amz-Signature=f00dsignature: disk is gone') }
    t.ok((await all()).has(500))
    driver.before = () => {}
    await rm(path)
    t.ok((await all()).has(503))
    await app.close()
    await access.close(1000)
    t.match(written, /disk is gone/, 'what went wrong is told')
    t.ok(written.split('\n').length > 1500, `${written.split('\n').length} lines`)
    for (const secret of SECRETS) t.notOk(written.includes(secret), `${secret.slice(0, 5)}…: ${written.split('\n').find(line => line.includes(secret)) ?? ''}`)
  })
}
