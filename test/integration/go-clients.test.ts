import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { client, needs, pushedBySkopeo, stored, withLayout } from '../helpers/clients.js'
import { ociLayoutDigests } from '../helpers/oci-layout.js'

t.test('crane pushes a layout, copies, tags, lists, pulls and deletes', needs('crane'), async t => {
  const { product, layout, source, directory } = await withLayout(t)
  const image = `${product.host}/team/crane`
  await client('crane', 'push', '--insecure', '--index', source, `${image}:1.0`)
  const digest = (await client('crane', 'digest', '--insecure', `${image}:1.0`)).trim()
  t.equal((await stored(product, 'team/crane', '1.0'))?.digest, digest)
  await client('crane', 'copy', '--insecure', `${image}@${layout.index.digest}`, `${product.host}/other/crane:2.0`)
  t.equal((await stored(product, 'other/crane', '2.0'))?.digest, layout.index.digest)
  await client('crane', 'tag', '--insecure', `${image}:1.0`, 'latest')
  t.same((await client('crane', 'ls', '--insecure', image)).trim().split('\n'), ['1.0', 'latest'])
  t.same((await client('crane', 'catalog', '--insecure', product.host)).trim().split('\n'), ['other/crane', 'team/crane'])
  const target = join(directory, 'target')
  await client('crane', 'pull', '--insecure', '--format', 'oci', `${product.host}/other/crane:2.0`, target)
  const pulled = await ociLayoutDigests(target)
  for (const { digest } of layout.layers) t.ok(JSON.stringify(pulled).includes(digest.slice(7)), `${digest} is pulled`)
  await client('crane', 'delete', '--insecure', `${image}:latest`)
  t.equal(await stored(product, 'team/crane', 'latest'), undefined)
  t.equal((await stored(product, 'team/crane', '1.0'))?.digest, digest, 'the other tag stays')
})

t.test('oras pushes an artifact, attaches to an image, discovers, copies with referrers and deletes', needs('skopeo', 'oras'), async t => {
  const { product, layout, directory } = await pushedBySkopeo(t)
  const image = `${product.host}/team/app:1.0`
  const file = join(directory, 'sbom.json')
  await writeFile(file, '{"sbom":true}')
  const oras = async (...args: string[]): Promise<string> => await client('oras', ...args)
  await oras('push', '--plain-http', '--disable-path-validation', '--artifact-type', 'application/vnd.example.thing', `${product.host}/team/thing:1.0`, `${file}:application/json`)
  await oras('attach', '--plain-http', '--disable-path-validation', '--artifact-type', 'application/vnd.example.sbom', image, `${file}:application/json`)
  const discovered = JSON.parse(await oras('discover', '--plain-http', '--format', 'json', image)) as { manifests: Array<{ digest: string, artifactType: string }> }
  t.match(discovered.manifests, [{ artifactType: 'application/vnd.example.sbom' }])
  t.equal(discovered.manifests.length, 1)
  t.equal(await stored(product, 'team/app', `sha256-${layout.index.digest.slice(7)}`), undefined, 'oras trusts the referrers API and writes no tag')

  await oras('cp', '--recursive', '--from-plain-http', '--to-plain-http', image, `${product.host}/other/oras:2.0`)
  t.equal((await stored(product, 'other/oras', '2.0'))?.digest, layout.index.digest)
  const referrers = await (await fetch(`${product.url}/v2/other/oras/referrers/${layout.index.digest}`)).json() as typeof discovered
  t.same(referrers.manifests.map(({ digest }) => digest), discovered.manifests.map(({ digest }) => digest))
  t.same((await oras('repo', 'tags', '--plain-http', `${product.host}/other/oras`)).trim(), '2.0')
  await oras('manifest', 'delete', '--plain-http', '--force', `${product.host}/other/oras:2.0`)
  t.equal(await stored(product, 'other/oras', layout.index.digest), undefined)
})
