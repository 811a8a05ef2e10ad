import { createFile, moveFile, replaceFile } from './prompt-changes.js'

const CHANGES = { replace: replaceFile, create: createFile, move: moveFile }

/** One change of a file system, and what with. */
export type Call = { readonly [Name in keyof typeof CHANGES]: readonly [Name, ...Parameters<typeof CHANGES[Name]>] }[keyof typeof CHANGES]

/** What came of calls: the descriptor of the file that the last of them made, nothing, or which of them failed and why. */
export type Result = number | undefined | { readonly at: number, readonly code: string | undefined, readonly message: string }

/** Makes the changes one after the other, as far as they succeed. Throws nothing. */
export function resultOf (calls: readonly Call[]): Result {
  let at = 0
  try {
    let descriptor: number | undefined
    for (; at < calls.length; at++) descriptor = make(calls[at] as Call)
    return descriptor
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return { at, code, message }
  }
}

function make (call: Call): number | undefined {
  switch (call[0]) {
    case 'replace': CHANGES.replace(call[1], call[2], call[3], call[4]); break
    case 'move': CHANGES.move(call[1], call[2], call[3]); break
    case 'create': return CHANGES.create(call[1])
  }
}
