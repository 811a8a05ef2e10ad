import type { Test } from 'tap'
import type { AccessController, AccessRecord, Grant } from '../../services/auth/access.js'
import { OciError } from '../../services/errors/oci-error.js'
import { accessRequest, records } from '../helpers/auth.js'

/** A controller, and the Authorization headers of callers it knows. */
export interface ControllerUnderTest {
  readonly controller: AccessController
  /** May pull and push team/app, and nothing else if the controller tells repositories apart. */
  readonly pusher: string
  /** May do everything with team/app, by `*` if the controller knows that. */
  readonly owner: string
  /** Headers that let nobody in; none where any header does. */
  readonly wrong: readonly string[]
  /** What the owner and the pusher are called. */
  readonly users: { readonly pusher: string, readonly owner: string }
  /** Whether there is anything the pusher may not do, and which codes say so. */
  readonly denies?: { readonly codes: ReadonlyArray<'UNAUTHORIZED' | 'DENIED'> }
  /** Texts that no error may hold: passwords, tokens. */
  readonly secrets: readonly string[]
}

const CHALLENGE = /^(?:Basic|Bearer) [a-z_]+="(?:[^"\\]|\\.)*"(?:,[a-z_]+="(?:[^"\\]|\\.)*")*$/
const EVERY_SCHEME = ['Basic', 'Bearer', 'Basic ', 'Bearer ', 'basic !!!', 'Negotiate abc', ' ', ',', '\u00ff', 'Bearer a.b.c', `Basic ${'A'.repeat(40_000)}`, `Bearer ${'A'.repeat(40_000)}`]

/** What every access controller of ours does. */
export function accessControllerSuite (t: Test, name: string, make: (t: Test) => Promise<ControllerUnderTest>): void {
  t.test(`${name}: credentials are enough for the base, and say who it is`, async t => {
    const { controller, pusher, users } = await made(t, make)
    t.match(await controller.authorize(accessRequest(pusher), []), { user: users.pusher })
  })

  t.test(`${name}: without credentials there is a 401 with one challenge, its parameters in quotes (R-243, R-247)`, async t => {
    const { controller } = await made(t, make)
    for (const asked of [[], records('repository:team/app:pull'), records('repository:team/app:pull,push', 'repository:team/base:pull'), records('registry:catalog:*')]) {
      const error = await refusal(controller, undefined, asked)
      t.match(error, { code: 'UNAUTHORIZED', status: 401 })
      t.match(challenge(error), CHALLENGE)
      t.same(error.detail, asked.length === 0 ? null : asked.map(({ type, name, action }) => ({ Type: type, Class: '', Name: name, Action: action })))
    }
  })

  t.test(`${name}: wrong credentials are a 401 with a challenge, whatever they look like, or there are none`, async t => {
    const { controller, wrong, users } = await made(t, make)
    if (wrong.length === 0) {
      for (const authorization of EVERY_SCHEME) t.match(await controller.authorize(accessRequest(authorization), records('repository:team/app:pull')), { user: users.pusher })
      return
    }
    for (const authorization of [...wrong, ...EVERY_SCHEME]) {
      const error = await refusal(controller, authorization, records('repository:team/app:pull'))
      t.match(error, { code: 'UNAUTHORIZED', status: 401 }, authorization.slice(0, 40))
      t.match(challenge(error), CHALLENGE)
    }
  })

  t.test(`${name}: a pusher may pull and push`, async t => {
    const { controller, pusher, users } = await made(t, make)
    for (const asked of [records('repository:team/app:pull'), records('repository:team/app:pull,push')]) {
      t.match(await controller.authorize(accessRequest(pusher), asked), { user: users.pusher })
    }
  })

  t.test(`${name}: who may do everything may delete`, async t => {
    const { controller, owner, users } = await made(t, make)
    for (const asked of [records('repository:team/app:delete'), records('repository:team/app:*'), records('repository:team/app:pull,push,delete')]) {
      t.match(await controller.authorize(accessRequest(owner), asked), { user: users.owner })
    }
  })

  t.test(`${name}: all that is asked for must be allowed`, async t => {
    const { controller, pusher, users, denies } = await made(t, make)
    for (const asked of [
      records('repository:team/app:delete'),
      records('repository:team/app:*'),
      records('repository:team/app:pull,push,delete'),
      records('repository:team/app:pull,push', 'repository:team/base:pull'),
      records('repository:team/base:pull', 'repository:team/app:pull'),
      records('repository:team:pull'),
      records('repository:team/app/below:pull'),
      records('repository:xteam/app:pull'),
      records('registry:other:*')
    ]) {
      if (denies === undefined) {
        t.match(await controller.authorize(accessRequest(pusher), asked), { user: users.pusher }, 'nothing is denied')
        continue
      }
      const error = await refusal(controller, pusher, asked)
      t.ok(denies.codes.some(code => code === error.code), `${error.code} for ${JSON.stringify(asked)}`)
      if (error.status === 401) t.match(challenge(error), CHALLENGE)
    }
  })

  t.test(`${name}: a refusal does not tell the secret it was given`, async t => {
    const { controller, wrong, pusher, secrets, denies } = await made(t, make)
    const refusals = await Promise.all([
      ...wrong.map(async authorization => await refusal(controller, authorization, records('repository:team/app:pull'))),
      ...denies === undefined ? [] : [refusal(controller, pusher, records('repository:team/app:delete'))]
    ])
    t.equal(refusals.length, wrong.length + Number(denies !== undefined))
    for (const error of refusals) {
      const told = JSON.stringify({ ...error, message: error.message, stack: error.stack, entries: error.entries() })
      for (const secret of [...secrets, ...wrong.map(header => header.split(' ')[1] ?? '').filter(text => text.length > 8)]) t.notOk(told.includes(secret))
    }
  })

  t.test(`${name}: many callers at once do not get each other's answers`, async t => {
    const { controller, pusher, owner, users } = await made(t, make)
    const answers = await Promise.all(Array.from({ length: 60 }, async (_, i): Promise<unknown> => {
      if (i % 3 === 2) return (await refusal(controller, undefined, [])).code
      return (await controller.authorize(accessRequest(i % 3 === 0 ? pusher : owner), [])).user
    }))
    t.same(answers, Array.from({ length: 60 }, (_, i) => [users.pusher, users.owner, 'UNAUTHORIZED'][i % 3]))
  })
}

async function made (t: Test, make: (t: Test) => Promise<ControllerUnderTest>): Promise<ControllerUnderTest> {
  const under = await make(t)
  t.teardown(async () => { await under.controller.close?.() })
  return under
}

/** What the controller throws. */
export async function refusal (controller: AccessController, authorization: string | undefined, asked: readonly AccessRecord[], ip?: string): Promise<OciError> {
  let grant: Grant
  try {
    grant = await controller.authorize(accessRequest(authorization, ip), asked)
  } catch (error) {
    if (OciError.is(error)) return error
    throw error
  }
  throw new Error(`let in as ${JSON.stringify(grant)}`)
}

function challenge ({ headers }: OciError): string {
  return headers['www-authenticate'] ?? ''
}
