import t from 'tap'
import { OciError } from '../../../services/errors/oci-error.js'
import { layerUrls } from '../../../services/registry/layer-urls.js'
import type { LayerUrlOptions } from '../../../services/registry/layer-urls.js'
import { sha256 } from '../../helpers/images.js'

const GOOD = 'https://layers.example.com/a'

function refusal (options: Partial<LayerUrlOptions>, ...urls: string[]): unknown {
  const layer = { mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', digest: sha256('x'), size: 1, isExternal: true }
  try {
    layerUrls({ allow: [], deny: [], ...options })?.check([{ ...layer, urls: [] }, { ...layer, urls }])
    return undefined
  } catch (error) {
    return OciError.is(error) && error.code === 'MANIFEST_INVALID' ? error.detail : error
  }
}

t.test('without rules there is nothing to check', async t => {
  t.equal(layerUrls({ allow: [], deny: [] }), undefined)
})

t.test('a URL matches one of allow, if there are any, and none of deny', async t => {
  const allow = ['^https?://layers\\.example\\.com/', 'mirror']
  t.equal(refusal({ allow }, GOOD, 'http://my-mirror/x'), undefined)
  t.equal(refusal({ allow }, GOOD, 'https://evil.example.com/'), '/layers/1/urls/1 is not a URL that layers may have here: https://evil.example.com/')
  t.equal(refusal({ allow, deny: ['/b$'] }, GOOD), undefined)
  t.match(refusal({ allow, deny: ['/b$', '/a$'] }, GOOD), /^\/layers\/1\/urls\/0 /)
  t.equal(refusal({ deny: ['evil'] }, 'https://anywhere/'), undefined)
  t.match(refusal({ deny: ['evil'] }, 'https://evil/'), /^\/layers\/1\/urls\/0 /)
})

t.test('whatever the rules, it is a URL of the web without a fragment', async t => {
  for (const url of ['ftp://layers.example.com/', 'file:///etc/passwd', 'layers.example.com/a', '/a', '', `${GOOD}#x`, 'https://', 'http://[::/', 'javascript:alert(1)']) {
    t.match(refusal({ allow: ['.*'] }, url), /^\/layers\/1\/urls\/0 is not/, url)
  }
  t.equal(refusal({ allow: ['.*'] }, 'HTTPS://layers.example.com/A'), undefined)
})

t.test('an expression that would take forever elsewhere takes no time', async t => {
  const started = performance.now()
  t.match(refusal({ allow: ['^(https?://a*)*$'] }, `https://${'a'.repeat(50_000)}!`), /is not/)
  t.ok(performance.now() - started < 5000)
})
