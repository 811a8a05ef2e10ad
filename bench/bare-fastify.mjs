// What Fastify itself costs: one route for each file of a directory, which sends its bytes and nothing else.
// `node bench/bare-fastify.mjs <directory> <port> <type>`; the paths of the routes are those of the files.
import { createReadStream } from 'node:fs'
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import Fastify from 'fastify'

const IN_MEMORY_BYTES = 1024 * 1024

const [directory, port, type] = process.argv.slice(2)
const app = Fastify({ routerOptions: { maxParamLength: 512 } })
for (const entry of await readdir(directory, { recursive: true })) {
  const file = join(directory, entry)
  const { size } = await stat(file)
  const url = `/${entry.replaceAll(':', '::')}`
  if (!(await stat(file)).isFile()) continue
  if (size > IN_MEMORY_BYTES) {
    app.get(url, (_request, reply) => reply.type(type).header('content-length', size).send(createReadStream(file)))
  } else {
    const bytes = await readFile(file)
    app.get(url, (_request, reply) => reply.type(type).send(bytes))
  }
}
app.get('/v2/', (_request, reply) => reply.send({}))
await app.listen({ host: '127.0.0.1', port: Number(port) })
process.on('SIGTERM', () => { process.exit(0) })
