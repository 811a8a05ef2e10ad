// A host with routes and users of its own, and a registry below /containers: everybody pulls, users push below their
// own name, and nobody moves a release. `PORT` and `DATA` say where.
import Fastify from 'fastify'
import { OciError, registry } from 'fastify-oci-registry'

const USERS = new Map([['alice', 'wonderland'], ['bob', 'builder']])

const app = Fastify({ logger: true, requestTimeout: 0, keepAliveTimeout: 120_000 })

app.decorateRequest('user', null)
app.addHook('onRequest', async request => {
  const [, credentials = ''] = /^Basic (.+)$/.exec(request.headers.authorization ?? '') ?? []
  const [name, password] = Buffer.from(credentials, 'base64').toString().split(':')
  if (USERS.has(name) && USERS.get(name) === password) request.user = name
})

app.get('/whoami', async ({ user }) => ({ user }))

await app.register(registry, {
  prefix: '/containers',
  storage: { filesystem: { rootdirectory: process.env.DATA ?? './data' }, delete: { enabled: true } },
  http: { relativeurls: true },
  accessController ({ user }, records) {
    const refused = records.find(({ name, action }) => action !== 'pull' && !(user !== null && name.startsWith(`${user}/`)))
    if (refused === undefined) return user === null ? {} : { user }
    if (user === null) throw new OciError('UNAUTHORIZED', { headers: { 'www-authenticate': 'Basic realm="containers"' } })
    throw new OciError('DENIED', { detail: `${user} may not ${refused.action} ${refused.name}` })
  },
  hooks: {
    beforeTag: async ({ tag, digest, current }) => {
      const now = await current()
      if (/^\d+\.\d+\.\d+$/.test(tag) && now !== undefined && now !== digest) return { deny: `${tag} is a release and stays what it is` }
    }
  },
  onReady ({ events }) {
    events.on('push', ({ target, actor }) => { app.log.info({ repository: target.repository, tag: target.tag, actor: actor.name }, 'pushed') })
  }
})

await app.listen({ host: '127.0.0.1', port: Number(process.env.PORT ?? 3000) })
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => { app.close() })
