import { readFile } from 'node:fs/promises'

// The kernel's USER_HZ: 100 on every Linux that Node runs on.
const TICKS_PER_SECOND = 100

/** CPU seconds, user and system, that a process has used until now. Linux only. */
export async function cpuSeconds (pid) {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8')
  // The second field is the command in parentheses and may hold spaces; utime and stime are fields 14 and 15.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** The most memory a process has had resident, in bytes. Linux only. */
export async function peakRss (pid) {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}
