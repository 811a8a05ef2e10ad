import { readFile, readdir } from 'node:fs/promises'

// The kernel's USER_HZ: 100 on every Linux that Node runs on.
const TICKS_PER_SECOND = 100

/** CPU seconds, user and system, that a process and those it started have used until now. Linux only. */
export async function cpuSeconds (pid) {
  const used = await Promise.all((await processTree(pid)).map(async process => {
    const stat = await readFile(`/proc/${process}/stat`, 'utf8')
    // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
  }))
  return used.reduce((sum, seconds) => sum + seconds, 0)
}

/** The most memory a process has had resident, in bytes; of several the sum, though they may not all have had it at once. */
export async function peakRss (pid) {
  const peaks = await Promise.all((await processTree(pid)).map(async process => {
    const status = await readFile(`/proc/${process}/status`, 'utf8')
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
  }))
  return peaks.reduce((sum, bytes) => sum + bytes, 0)
}

/** A process and all below it. */
async function processTree (pid) {
  const tree = [pid]
  for (const parent of tree) {
    const threads = await readdir(`/proc/${parent}/task`)
    for (const thread of threads) {
      const children = await readFile(`/proc/${parent}/task/${thread}/children`, 'utf8')
      tree.push(...children.split(' ').filter(child => child !== '').map(Number))
    }
  }
  return tree
}
