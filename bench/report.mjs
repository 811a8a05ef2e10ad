/** The middle of several rounds, field by field. */
export function medians (rounds) {
  return Object.fromEntries(Object.keys(rounds[0]).map(key => {
    const values = rounds.map(round => round[key]).sort((a, b) => a - b)
    return [key, values[Math.floor(values.length / 2)]]
  }))
}

const SECONDS = 1e6

/**
 * All that was measured: a line for each row and server. The last columns compare with docker-registry in the same row:
 * how many times as fast, and what part of its CPU time.
 */
export function table (results) {
  const header = ['', 'server', 'rate', 'p50 ms', 'p99 ms', 'CPU', 'generator', 'rate ÷ docker', 'CPU ÷ docker']
  const lines = results.flatMap(({ row, unit, servers }) => servers.map(({ server, median }, i) => {
    const theirs = servers.find(other => other.server === 'docker-registry')?.median
    const isOther = theirs !== undefined && theirs !== median
    const cpu = value => value === undefined ? '' : unit === 'MB/s' ? `${(value / SECONDS).toFixed(2)} s/GiB` : `${value.toFixed(value < 100 ? 1 : 0)} µs`
    return [
      i === 0 ? row : '', server, rate(median, unit), decimal(median.p50), decimal(median.p99), cpu(median.cpu), cpu(median.generatorCpu),
      isOther ? times(quantity(median) / quantity(theirs)) : '', isOther && median.cpu !== undefined ? times(median.cpu / theirs.cpu) : ''
    ]
  }))
  return aligned([header, ...lines])
}

/** What is wanted, and whether it is so. A target whose row or server was not measured is left out. */
export function targetTable (results, targets) {
  const median = (row, server) => results.find(result => result.row === row)?.servers.find(other => other.server === server)?.median
  const lines = targets.flatMap(({ what, limit, atLeast, value }) => {
    const measured = value(median)
    if (measured === undefined || Number.isNaN(measured)) return []
    const isMet = atLeast ? measured >= limit : measured <= limit
    return [[what, `${atLeast ? '≥' : '≤'} ${limit}`, measured.toFixed(2), isMet ? 'met' : 'MISSED']]
  })
  return lines.length === 0 ? '' : aligned([['target', 'wanted', 'measured', ''], ...lines])
}

function aligned (lines) {
  const widths = lines[0].map((_, column) => Math.max(...lines.map(line => line[column].length)))
  return lines.map(line => line.map((cell, column) => column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])).join('  ').trimEnd()).join('\n')
}

function rate (median, unit) {
  const value = quantity(median)
  return `${value.toFixed(value < 10 ? 1 : 0)} ${unit}`
}

function quantity ({ perSecond, value }) {
  return perSecond ?? value
}

function times (ratio) {
  return `×${ratio.toFixed(2)}`
}

function decimal (value) {
  return value === undefined ? '' : value.toFixed(2)
}
