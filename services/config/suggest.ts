/** The key somebody may have meant: at most a third of its letters wrong. */
export function nearest (word: string, keys: readonly string[]): string | undefined {
  const [best] = keys
    .map(key => ({ key, distance: distance(word.toLowerCase(), key) }))
    .filter(({ key, distance }) => distance <= Math.max(1, Math.floor(key.length / 3)))
    .sort((a, b) => a.distance - b.distance)
  return best?.key
}

/** Letters to change, add or drop (Levenshtein), row by row. */
function distance (a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (previous[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      row.push(Math.min(change, (previous[j] as number) + 1, (row[j - 1] as number) + 1))
    }
    previous = row
  }
  return previous[b.length] as number
}
