import { spawn } from 'node:child_process'
import { once } from 'node:events'
import type { Test } from 'tap'

/** Runs a server until the test ends, and resolves when it has printed that it is ready. Rejects with what it printed instead. */
export async function startServerProcess (t: Test, command: string, args: readonly string[], { ready, env = {} }: { readonly ready: RegExp, readonly env?: Record<string, string> }): Promise<RegExpExecArray> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
  t.teardown(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  let log = ''
  return await new Promise((resolve, reject) => {
    const listen = (text: string): void => {
      log += text
      const found = ready.exec(log)
      if (found !== null) resolve(found)
    }
    child.stdout.setEncoding('utf8').on('data', listen)
    child.stderr.setEncoding('utf8').on('data', listen)
    child.once('error', reject)
    child.once('exit', () => { reject(new Error(`${command} did not start:\n${log}`)) })
  })
}
