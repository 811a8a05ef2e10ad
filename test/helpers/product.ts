import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import type { RegistryConfigInput } from '../../schemas/config/index.js'

const CLI = fileURLToPath(new URL('../../cli.js', import.meta.url))
const LISTENS = /listens on (https?:\/\/([^\s,]+)), data in ([^"\n]+)/

/** How a process ended; `status` is null when a signal killed it. */
export interface Ended { readonly status: number | null, readonly stdout: string, readonly stderr: string }

/** The built command line as a process of its own, the way a user runs it. Killed with the test if it still runs. */
export class CliProcess {
  readonly ended: Promise<Ended>
  /** It is over; what it wrote may not have been read yet. */
  readonly exited: Promise<unknown>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''
  #isOver = false
  #wake: () => void = () => {}

  constructor (t: Test, args: readonly string[], cwd: string) {
    const child = spawn(process.execPath, [CLI, ...args], { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.setEncoding('utf8').on('data', (text: string) => { this.#stdout += text; this.#wake() })
    child.stderr.setEncoding('utf8').on('data', (text: string) => { this.#stderr += text; this.#wake() })
    this.#child = child
    this.exited = once(child, 'exit')
    this.ended = new Promise((resolve, reject) => {
      child.once('error', reject)
      child.once('close', status => {
        this.#isOver = true
        resolve({ status, stdout: this.#stdout, stderr: this.#stderr })
        this.#wake()
      })
    })
    t.teardown(async () => {
      child.kill('SIGKILL')
      await this.ended
    })
  }

  /** Id of the process. */
  get pid (): number {
    return this.#child.pid ?? 0
  }

  /** Everything it has logged until now. */
  get log (): string {
    return this.#stderr
  }

  /** Nobody reads its standard output any more. */
  closeOut (): void {
    this.#child.stdout?.destroy()
  }

  /** Leaves its standard output unread, until the function that is returned is called. */
  pauseOut (): () => void {
    this.#child.stdout?.pause()
    return () => { this.#child.stdout?.resume() }
  }

  /** Waits until the log has something. Rejects when the process ends without it. */
  async logged (pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const found = pattern.exec(this.#stderr)
      if (found !== null) return found
      if (this.#isOver) throw new Error(`ended without logging ${String(pattern)}:\n${this.#stderr}`)
      await new Promise<void>(resolve => { this.#wake = resolve })
    }
  }

  /** Sends the signal and does not wait for what it does. */
  signal (signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Sends the signal, waits for the end and says with which exit status, null when the signal itself killed it. */
  async stop (signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal)
    return (await this.ended).status
  }
}

/** A running registry: the built product, not the sources. */
export interface Product extends Pick<CliProcess, 'closeOut' | 'ended' | 'exited' | 'log' | 'pauseOut' | 'logged' | 'pid' | 'signal' | 'stop'> {
  /** For HTTP clients: `http://127.0.0.1:12345`. */
  readonly url: string
  /** For image references: `127.0.0.1:12345`. */
  readonly host: string
  /** Where it says its data is. */
  readonly data: string
}

/** Runs a command line that ends by itself. */
export async function runCli (t: Test, args: readonly string[], cwd: string): Promise<Ended> {
  return await new CliProcess(t, args, cwd).ended
}

/** Runs `serve` with the arguments given and resolves when it listens. Rejects with its output when it does not. */
export async function serveProduct (t: Test, args: readonly string[], cwd: string): Promise<Product> {
  const running = new CliProcess(t, ['serve', ...args], cwd)
  const [, url = '', host = '', data = ''] = await running.logged(LISTENS)
  return Object.assign(running, { url, host, data })
}

/**
 * Starts the built product on a free port, with a configuration file and its data in `directory`. Parts of the
 * configuration given in `config` take the place of the usual ones. Started again there, it finds its data again.
 */
export async function startProduct (t: Test, directory: string, config: RegistryConfigInput = {}): Promise<Product> {
  const file = join(directory, 'config.yml')
  const complete: RegistryConfigInput = {
    version: '0.1',
    storage: { filesystem: { rootdirectory: join(directory, 'data') }, delete: { enabled: true } },
    ...config,
    http: { addr: '127.0.0.1:0', ...config.http }
  }
  // JSON is YAML.
  await writeFile(file, JSON.stringify(complete))
  return await serveProduct(t, [file], directory)
}
