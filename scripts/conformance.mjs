// Runs the conformance program of the OCI distribution spec against the built server: `npm run conformance`.
// Needs a Go toolchain (1.24 or later), with which the program is installed by its module path.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const VERSION = 'v0.0.0-20260831232431-97274622c111'
const PROGRAM = `github.com/opencontainers/distribution-spec/conformance@${VERSION}`
const PROFILES = ['1.1', 'dev']
const root = new URL('..', import.meta.url).pathname
const cache = join(root, 'node_modules', '.cache', 'conformance', VERSION)

if (spawnSync('go', ['version']).status !== 0) {
  console.log('conformance: skipped, there is no Go toolchain on the PATH')
  process.exit(process.env.CI === 'true' ? 1 : 0)
}

const program = install()
const work = mkdtempSync(join(tmpdir(), 'oci-conformance-'))
let failures = 0
try {
  for (const storage of ['filesystem', 'inmemory']) failures += await runAgainst(storage)
} finally {
  rmSync(work, { recursive: true, force: true })
}
process.exitCode = failures === 0 ? 0 : 1

function install () {
  const binary = join(cache, 'conformance')
  if (!existsSync(binary)) {
    mkdirSync(cache, { recursive: true })
    execFileSync('go', ['install', PROGRAM], { stdio: 'inherit', env: { ...process.env, GOBIN: cache } })
  }
  return binary
}

async function runAgainst (storage) {
  const port = await freePort()
  const config = join(work, `${storage}.yml`)
  const driver = storage === 'filesystem' ? `filesystem:\n    rootdirectory: ${join(work, 'data')}` : 'inmemory: {}'
  writeFileSync(config, `version: 0.1\nlog:\n  level: warn\nstorage:\n  ${driver}\n  delete:\n    enabled: true\nhttp:\n  addr: 127.0.0.1:${port}\n`)
  const server = spawn(process.execPath, [join(root, 'dist', 'cli.js'), 'serve', config], { stdio: ['ignore', 'ignore', 'inherit'] })
  try {
    await untilListening(server, port)
    return PROFILES.map(profile => run(storage, profile, port)).filter(passed => !passed).length
  } finally {
    server.kill('SIGTERM')
    await once(server, 'exit')
  }
}

/** True when every check of the profile passed: a skipped one means that we lack what the program looks for. */
function run (storage, profile, port) {
  const results = join(work, `${storage}-${profile}`)
  const env = {
    ...process.env,
    OCI_REGISTRY: `127.0.0.1:${port}`,
    OCI_TLS: 'disabled',
    OCI_REPO1: 'conformance/one',
    OCI_REPO2: 'conformance/two',
    OCI_VERSION: profile,
    OCI_RESULTS_DIR: results
  }
  const { status, stdout } = spawnSync(program, { env, encoding: 'utf8', maxBuffer: 1 << 28 })
  const count = name => Number(new RegExp(`^\\s*${name}\\.+:\\s*(\\d+)`, 'mi').exec(stdout)?.[1] ?? NaN)
  const [pass, skip, fail] = ['Pass', 'Skip', 'FAIL'].map(count)
  const passed = status === 0 && pass > 0 && skip === 0 && fail === 0
  console.log(`conformance ${profile}, ${storage}: ${pass} passed, ${fail} failed, ${skip} skipped`)
  if (!passed) {
    console.log(stdout)
    if (process.env.OCI_RESULTS_DIR !== undefined) writeFileSync(join(process.env.OCI_RESULTS_DIR, `report-${storage}-${profile}.html`), readFileSync(join(results, 'report.html')))
  }
  return passed
}

async function freePort () {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address()
  probe.close()
  await once(probe, 'close')
  return port
}

async function untilListening (server, port) {
  for (let attempt = 0; attempt < 100; attempt++) {
    if (server.exitCode !== null) throw new Error('the server did not start')
    const answer = await fetch(`http://127.0.0.1:${port}/v2/`).catch(() => undefined)
    if (answer?.ok) return
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  throw new Error('the server does not answer')
}
