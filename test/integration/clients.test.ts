import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { OCI_INDEX, OCI_MANIFEST } from '../../schemas/media-types.js'
import { answered, containersClient, needs, pushedBySkopeo, skopeo, stored } from '../helpers/clients.js'
import { ociLayoutDigests } from '../helpers/oci-layout.js'

t.test('skopeo pushes an image for two platforms', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  t.ok(layout.layers.every(({ size }) => size > 3 * 1024 * 1024), 'layers of more than 3 MiB')
  t.same(await stored(product, 'team/app', '1.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
  for (const { digest } of layout.manifests) {
    t.same(await stored(product, 'team/app', digest), { digest, mediaType: OCI_MANIFEST })
  }
  for (const { digest, bytes } of layout.layers) {
    const pulled = await fetch(`${product.url}/v2/team/app/blobs/${digest}`)
    t.equal(pulled.status, 200)
    t.ok(Buffer.from(await pulled.arrayBuffer()).equals(bytes), digest)
  }
})

t.test('skopeo inspects what it pushed and lists its tags', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  const image = `docker://${product.host}/team/app`
  const raw = await skopeo('inspect', '--raw', '--tls-verify=false', `${image}:1.0`)
  t.equal(raw, layout.index.bytes.toString())
  const inspected = JSON.parse(await skopeo('inspect', '--tls-verify=false', '--override-arch=arm64', `${image}:1.0`)) as object
  t.match(inspected, { Name: `${product.host}/team/app`, RepoTags: ['1.0'], Architecture: 'arm64', Os: 'linux' })
  await skopeo('copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', `${image}:1.0`, `${image}:latest`)
  const listed = JSON.parse(await skopeo('list-tags', '--tls-verify=false', image)) as object
  t.same(listed, { Repository: `${product.host}/team/app`, Tags: ['1.0', 'latest'] })
})

t.test('skopeo pulls every byte it pushed', needs('skopeo'), async t => {
  const { product, source, directory } = await pushedBySkopeo(t)
  const target = join(directory, 'target')
  await skopeo('copy', '--all', '--src-tls-verify=false', `docker://${product.host}/team/app:1.0`, `oci:${target}:1.0`)
  t.same(await ociLayoutDigests(target), await ociLayoutDigests(source))
})

t.test('skopeo copies between repositories without sending a layer again', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  await skopeo('copy', '--all', '--src-tls-verify=false', '--dest-tls-verify=false', `docker://${product.host}/team/app:1.0`, `docker://${product.host}/other/copy:2.0`)
  t.same(await stored(product, 'other/copy', '2.0'), { digest: layout.index.digest, mediaType: OCI_INDEX })
  for (const { digest } of layout.layers) {
    t.equal((await fetch(`${product.url}/v2/other/copy/blobs/${digest}`, { method: 'HEAD' })).status, 200)
  }
  const mounts = await answered(product, 'POST', /uri="\/v2\/other\/copy\/blobs\/uploads\/\?[^"]*mount=/, 201)
  t.equal(mounts, layout.layers.length, 'each layer is mounted')
})

t.test('skopeo deletes what it pushed', needs('skopeo'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  await skopeo('delete', '--tls-verify=false', `docker://${product.host}/team/app:1.0`)
  t.equal(await stored(product, 'team/app', '1.0'), undefined)
  t.equal(await stored(product, 'team/app', layout.index.digest), undefined)
  await t.rejects(skopeo('inspect', '--tls-verify=false', `docker://${product.host}/team/app:1.0`), /manifest unknown/)
})

t.test('podman pulls, pushes and pulls again what it pushed', needs('skopeo', 'podman'), async t => {
  const { product, directory } = await pushedBySkopeo(t)
  const podman = await containersClient(t, 'podman')
  const pulled = `${product.host}/team/app:1.0`
  const pushed = `${product.host}/team/pushed:2.0`
  await podman('pull', '--tls-verify=false', pulled)
  await podman('tag', pulled, pushed)
  const digestFile = join(directory, 'digest')
  await podman('push', '--tls-verify=false', '--digestfile', digestFile, pushed)
  const digest = await readFile(digestFile, 'utf8')
  t.equal((await stored(product, 'team/pushed', '2.0'))?.digest, digest)

  const id = await podman('image', 'inspect', '--format', '{{.Id}}', pushed)
  await podman('rmi', '--all', '--force')
  t.equal(await podman('images', '--quiet'), '', 'nothing is left in the local storage')
  await podman('pull', '--tls-verify=false', pushed)
  t.equal((await podman('image', 'inspect', '--format', '{{.Digest}}', pushed)).trim(), digest)
  t.equal(await podman('image', 'inspect', '--format', '{{.Id}}', pushed), id)
})

t.test('podman pushes an index for two platforms, whole, and lists tags', needs('skopeo', 'podman'), async t => {
  const { product } = await pushedBySkopeo(t)
  const podman = await containersClient(t, 'podman')
  await podman('manifest', 'create', 'both')
  for (const architecture of ['amd64', 'arm64']) {
    await podman('pull', '--tls-verify=false', '--arch', architecture, `${product.host}/team/app:1.0`)
    await podman('tag', `${product.host}/team/app:1.0`, `localhost/${architecture}`)
    await podman('manifest', 'add', 'both', `containers-storage:localhost/${architecture}`)
  }
  await podman('manifest', 'push', '--all', '--tls-verify=false', 'both', `docker://${product.host}/team/both:2.0`)
  const pushed = JSON.parse(await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${product.host}/team/both:2.0`)) as { manifests: Array<{ digest: string }> }
  t.equal(pushed.manifests.length, 2)
  for (const { digest } of pushed.manifests) t.equal((await stored(product, 'team/both', digest))?.digest, digest)
  const listed = await podman('search', '--list-tags', '--tls-verify=false', `${product.host}/team/both`)
  t.match(listed, /team\/both\s+2\.0$/m)
})

t.test('buildah builds on what it pulls, pushes it, and deletes nothing of the base', needs('skopeo', 'buildah'), async t => {
  const { product, layout } = await pushedBySkopeo(t)
  const buildah = await containersClient(t, 'buildah')
  const base = `${product.host}/team/app:1.0`
  const container = (await buildah('from', '--tls-verify=false', base)).trim()
  await buildah('config', '--label', 'built=yes', container)
  await buildah('commit', '--tls-verify=false', container, `docker://${product.host}/team/built:1.0`)
  const inspected = JSON.parse(await skopeo('inspect', '--tls-verify=false', `docker://${product.host}/team/built:1.0`)) as object
  t.match(inspected, { Labels: { built: 'yes' } })
  t.equal((await stored(product, 'team/app', '1.0'))?.digest, layout.index.digest)
})
