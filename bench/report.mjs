const MIB = 1024 * 1024

/** The middle of several rounds, field by field. */
export function medians (rounds) {
  return Object.fromEntries(Object.keys(rounds[0]).map(key => {
    const values = rounds.map(round => round[key]).sort((a, b) => a - b)
    return [key, values[Math.floor(values.length / 2)]]
  }))
}

/**
 * One table for all servers. With two, the last columns say how many times as fast the first is, and what part of the
 * second's CPU time it needs.
 */
export function table (results) {
  const [first, second] = results
  const header = ['', ...results.flatMap(({ name }) => [name, 'p50 ms', 'p99 ms', 'CPU µs']), ...(second === undefined ? [] : ['speed', 'CPU'])]
  const rows = Object.keys(first.measures).map(measure => [
    measure,
    ...results.flatMap(({ measures }) => cells(measures[measure])),
    ...(second === undefined ? [] : ratios(first.measures[measure], second.measures[measure]))
  ])
  const memory = ['peak RSS', ...results.flatMap(({ peakRss }) => [peakRss === undefined ? '' : `${Math.round(peakRss / MIB)} MiB`, '', '', ''])]
  const lines = [header, ...rows, memory]
  const widths = header.map((_, column) => Math.max(...lines.map(line => (line[column] ?? '').length)))
  return lines.map(line => line.map((cell, column) => column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])).join('  ').trimEnd()).join('\n')
}

function cells ({ unit, perSecond, p50, p99, cpuMicroseconds }) {
  return [`${Math.round(perSecond)} ${unit}`, decimal(p50), decimal(p99), cpuMicroseconds === undefined ? '' : String(Math.round(cpuMicroseconds))]
}

function ratios (ours, theirs) {
  return [decimal(ours.perSecond / theirs.perSecond), decimal(ours.cpuMicroseconds / theirs.cpuMicroseconds)].map(ratio => ratio && `×${ratio}`)
}

function decimal (value) {
  return value === undefined || Number.isNaN(value) ? '' : value.toFixed(2)
}
