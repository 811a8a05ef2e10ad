const DOCKER = 'docker-registry'
const OURS = 'oci-registry'
/** As `docker-registry` writes. */
const UNSYNCED = 'without fsync'

/**
 * What the registry is meant to reach on two cores, as ratios within one run, so that the machine does not matter much.
 * `value` gets the median of a row and a server, and is undefined where one of them was not measured.
 */
export const TARGETS = [
  ...['manifest GET by tag', 'manifest GET by digest', 'manifest HEAD by tag', 'manifest HEAD by digest', 'blob HEAD'].flatMap(row => [
    faster(row, 15),
    ratioOfCpu(row, 'bare Fastify', row.includes('tag') ? 3 : 2)
  ]),
  faster('blob GET 4 KiB', 20),
  ratioOfCpu('blob GET 4 KiB', 'bare Fastify', 3),
  faster('blob GET 64 MiB', 1),
  ratioOfCpu('blob GET 64 MiB', DOCKER, 1),
  faster('push 10 KiB (POST, PUT)', 4, UNSYNCED),
  ...['one', 'four at once'].flatMap(count => {
    const row = `push 64 MiB (POST, PATCH, PUT), ${count}`
    return [faster(row, 2), { what: `${row}: CPU ÷ openssl`, limit: 2.8, value: median => ratio(median(row, OURS)?.cpu, median('SHA-256 of 64 MiB', 'openssl')?.cpu) }]
  }),
  faster('manifest PUT by tag', 4, UNSYNCED),
  ...['tags/list n=100 of 100000', 'catalog n=100 of 10000'].map(row => faster(row, 20)),
  flat('tags/list n=100 of 100000', 'tags/list n=100 of 10000'),
  flat('catalog n=100 of 10000', 'catalog n=100 of 1000'),
  { what: 'referrers of 1000: p50 ms', limit: 10, value: median => median('referrers of 1000', OURS)?.p50 },
  { what: 'peak RSS, 10 pushes and 10 pulls of 100 MiB at once: MB', limit: 150, value: median => median('peak RSS, 10 pushes and 10 pulls of 100 MiB at once', OURS)?.value },
  // Each worker can have a core only where the generator does not need it: so what a core of the server does is compared.
  { what: 'workers: auto, manifest GET by tag: rate on two cores ÷ one worker', limit: 1.7, atLeast: true, value: median => ratio(2 * (median('manifest GET by tag', OURS)?.cpu ?? NaN), median('manifest GET by tag', 'workers: auto')?.cpu) },
  ...['nothing stored', '100000 tags, 10000 repositories'].map(what => ({ what: `start to first answer, ${what}: ms`, limit: 400, value: median => median(`start to first answer, ${what}`, OURS)?.value }))
]

function faster (row, limit, server = OURS) {
  return { what: `${row}: rate${server === OURS ? '' : ` ${server}`} ÷ ${DOCKER}`, limit, atLeast: true, value: median => ratio(median(row, server)?.perSecond, median(row, DOCKER)?.perSecond) }
}

function ratioOfCpu (row, server, limit) {
  return { what: `${row}: CPU ÷ ${server}`, limit, value: median => ratio(median(row, OURS)?.cpu, median(row, server)?.cpu) }
}

function flat (row, tenth) {
  return { what: `${row}: time ÷ a tenth`, limit: 1.3, value: median => ratio(median(row, OURS)?.p50, median(tenth, OURS)?.p50) }
}

function ratio (value, other) {
  return value === undefined || other === undefined ? undefined : value / other
}
