import { readFileSync, watch } from 'node:fs'
import { dirname } from 'node:path'

export interface CertificateWatch { close (): void }

const SETTLE_MS = 200

/**
 * Calls `changed` when the content of a file is another than it was. The directories are watched, not the files,
 * because files are replaced by renaming or, as Kubernetes does it, by turning a link.
 */
export function watchFiles (files: readonly string[], changed: () => void): CertificateWatch {
  let known = contents(files)
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const now = contents(files)
    if (now === known) return
    known = now
    changed()
  }
  const watchers = [...new Set(files.map(file => dirname(file)))].map(directory => watch(directory, { persistent: false }, () => {
    // Certificate and key are two files: both should be there before either is read.
    clearTimeout(timer)
    timer = setTimeout(look, SETTLE_MS).unref()
  }))
  return {
    close () {
      clearTimeout(timer)
      for (const watcher of watchers) watcher.close()
    }
  }
}

/** A file that is missing for a moment counts as empty. */
function contents (files: readonly string[]): string {
  return files.map(file => {
    try {
      return readFileSync(file, 'latin1')
    } catch {
      return ''
    }
  }).join('\0')
}
