import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../schemas/config/index.js'
import { startRgw } from './ceph-rgw.js'
import { shortDirectory } from './clients.js'
import { freePort } from './docker-registry.js'

const SCRIPT = fileURLToPath(new URL('../../../examples/replicas/start.sh', import.meta.url))

export interface Replica {
  readonly url: string
  readonly host: string
  readonly pid: number
  /** Everything it has logged until now. */
  log (): Promise<string>
}

export interface Replicas {
  /** Of nginx, which gives each request to the next replica. */
  readonly url: string
  readonly host: string
  readonly replicas: readonly [Replica, Replica, Replica]
  readonly redis: Redis
  /** What an embedded registry is given to be one more replica. */
  readonly config: Pick<RegistryConfigInput, 'storage' | 'redis'>
}

/** Runs `examples/replicas/start.sh`, with the S3 server that runs already if there is one; stopped with the test. */
export async function startReplicas (t: Test, env: Readonly<Record<string, string>>): Promise<Replicas> {
  const directory = await shortDirectory(t, 'replicas')
  const ports: number[] = []
  while (ports.length < 7) ports.push(await freePort())
  const [, , , , redisPort = 0, s3Port = 0] = ports
  const { bucket, endpoint } = process.env['OCI_TEST_S3'] === undefined
    ? { bucket: 'registry', endpoint: undefined }
    : await startRgw(t).then(({ bucket, url }) => ({ bucket, endpoint: url }))
  const own = endpoint === undefined ? {} : { S3_ENDPOINT: endpoint, S3_BUCKET: bucket, S3_ACCESSKEY: 'AK', S3_SECRETKEY: 'SK' }
  const lines = await run(t, directory, { ...env, ...own, PORTS: ports.join(' ') })
  const found = [...lines.matchAll(/^replica (http:\/\/(\S+:(\d+))) process (\d+)$/gm)]
  const replicas = found.map(([, url = '', host = '', port = '', pid = '']): Replica =>
    ({ url, host, pid: Number(pid), log: async () => await readFile(join(directory, `replica-${port}.log`), 'utf8') }))
  const [one, two, three] = replicas
  const [, url = '', host = ''] = /^ready (http:\/\/(\S+))$/m.exec(lines) ?? []
  if (one === undefined || two === undefined || three === undefined) throw new Error(`three replicas were expected:\n${lines}`)
  const redis = new Redis({ port: redisPort, host: '127.0.0.1', protocol: 2 })
  t.teardown(() => { redis.disconnect() })
  return {
    url,
    host,
    replicas: [one, two, three],
    redis,
    config: {
      storage: {
        s3: { bucket, regionendpoint: endpoint ?? `http://127.0.0.1:${s3Port}`, rootdirectory: '/registry', accesskey: 'AK', secretkey: 'SK' },
        delete: { enabled: true },
        cache: { blobdescriptor: 'redis' }
      },
      redis: { addr: `127.0.0.1:${redisPort}` }
    }
  }
}

/** What it prints until it is ready. */
async function run (t: Test, directory: string, env: Readonly<Record<string, string>>): Promise<string> {
  const child = spawn(SCRIPT, [directory], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  return await new Promise<string>((resolve, reject) => {
    let lines = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      lines += text
      if (/^ready .*\n/m.test(lines)) resolve(lines)
    })
    child.once('error', reject)
    child.once('exit', () => { reject(new Error(`it did not start:\n${lines}`)) })
  })
}
