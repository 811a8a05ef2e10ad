import { randomBytes } from 'node:crypto'
import { mkdir, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Test } from 'tap'
import { sha256 } from '../helpers/images.js'
import { CliProcess, runCli, startProduct } from '../helpers/product.js'
import type { Product } from '../helpers/product.js'

const OCTETS = { 'content-type': 'application/octet-stream' }
const REPOSITORIES = 'docker/registry/v2/repositories'
const LONG_AGO = new Date('2020-01-01T00:00:00Z')
const ROUNDS = process.env['CI'] === 'true' ? 12 : 6

interface Acknowledged { readonly digest: string, readonly size: number }
interface Started { location: URL, sent: number }

/** Pushes blobs without a pause until the server is gone; writes down what was acknowledged. */
async function pushUntilGone ({ url }: Product, acknowledged: Acknowledged[], started: Started): Promise<void> {
  try {
    for (;;) {
      const body = randomBytes(50_000)
      const digest = sha256(body)
      const answer = await fetch(`${url}/v2/team/app/blobs/uploads/?digest=${digest}`, { method: 'POST', headers: OCTETS, body })
      await answer.arrayBuffer()
      if (answer.status === 201) acknowledged.push({ digest, size: body.length })
      const chunk = await fetch(started.location, { method: 'PATCH', headers: OCTETS, body: randomBytes(1000) })
      await chunk.arrayBuffer()
      if (chunk.status !== 202) throw new Error(`chunk: ${chunk.status}`)
      started.sent += 1000
      started.location = new URL(chunk.headers.get('location') ?? '', url)
    }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error // what fetch throws when nobody is there
  }
}

async function start (t: Test, url: string): Promise<Started> {
  const { status, headers } = await fetch(`${url}/v2/team/live/blobs/uploads/`, { method: 'POST' })
  t.equal(status, 202)
  return { location: new URL(headers.get('location') ?? '', url), sent: 0 }
}

/** Many old sessions for the purge to be in the middle of. */
async function fill (data: string, count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const id = `0190d8a0-1234-7abc-8def-${String(i).padStart(12, '0')}`
    const directory = join(data, REPOSITORIES, 'team/old/_uploads', id)
    await mkdir(directory, { recursive: true })
    for (const [name, content] of [['data', 'x'.repeat(100)], ['startedat', LONG_AGO.toISOString()]] as const) {
      await writeFile(join(directory, name), content)
      await utimes(join(directory, name), LONG_AGO, LONG_AGO)
    }
  }
}

/** What was acknowledged is there, and the session that was going on goes on with all it got. */
async function check (t: Test, { url }: Product, acknowledged: readonly Acknowledged[], session: Started): Promise<void> {
  for (const { digest, size } of acknowledged) {
    const body = Buffer.from(await (await fetch(`${url}/v2/team/app/blobs/${digest}`)).arrayBuffer())
    if (body.length !== size || sha256(body) !== digest) t.fail(`${digest} is not what was pushed`)
  }
  const status = await fetch(new URL(session.location.pathname, url))
  t.equal(status.status, 204, 'the upload can go on')
  const [, last = '0'] = (status.headers.get('range') ?? '').split('-')
  t.ok(Number(last) + 1 >= session.sent, `${session.sent} acknowledged, it holds ${Number(last) + 1}`)
  session.location = new URL(status.headers.get('location') ?? '', url)
  session.sent = Number(last) + 1
}

t.test('killed again and again while clients push and uploads are purged and storage is repaired: all that was acknowledged is there', { timeout: 240_000 }, async t => {
  const directory = t.testdir()
  const acknowledged: Acknowledged[] = []
  let session: Started | undefined
  for (let round = 0; round < ROUNDS; round++) {
    const product = await startProduct(t, directory)
    if (session === undefined) session = await start(t, product.url)
    else await check(t, product, acknowledged, session)
    session.location = new URL(session.location.pathname, product.url)
    await fill(product.data, 100)
    // A lease of a killed run lasts a minute.
    await rm(join(product.data, 'oci-registry/leases'), { recursive: true, force: true })
    const pushing = pushUntilGone(product, acknowledged, session)
    const maintenance = [new CliProcess(t, ['purge-uploads', '--age', '1h', 'config.yml'], directory), new CliProcess(t, ['verify', '--repair', 'config.yml'], directory)]
    // Anywhere between their start and their end.
    await sleep(300 + Math.random() * 1500)
    for (const command of maintenance) command.signal('SIGKILL')
    await product.stop('SIGKILL')
    await pushing
  }
  if (session === undefined) throw new Error('no session')
  const product = await startProduct(t, directory)
  await check(t, product, acknowledged, session)
  t.ok(acknowledged.length > ROUNDS, `${acknowledged.length} blobs`)
  await rm(join(product.data, 'oci-registry/leases'), { recursive: true, force: true })
  const purge = await runCli(t, ['purge-uploads', '--age', '1h', 'config.yml'], directory)
  t.equal(purge.status, 0, purge.stderr)
  t.same(await readdir(join(product.data, REPOSITORIES, 'team/old/_uploads')), [], 'another run takes the rest')
  t.equal((await readdir(join(product.data, REPOSITORIES, 'team/live/_uploads'))).length, 1)
  const verify = async (...args: string[]): Promise<{ status: number | null, stdout: string }> => await runCli(t, ['verify', '--grace', '0s', ...args, 'config.yml'], directory)
  t.match((await verify()).stdout, /\n0 corrupt, 0 missing, \d+ orphaned, \d+ odd, 0 repaired, 0 too young to be judged, 0 errors\n$/, 'pushes that were cut off left at most orphans')
  t.equal(await product.stop(), 0)
  const collected = await runCli(t, ['garbage-collect', 'config.yml'], directory)
  t.equal(collected.status, 0, collected.stdout)
  await verify('--repair')
  const clean = await verify()
  t.equal(clean.status, 0, clean.stdout)
})
