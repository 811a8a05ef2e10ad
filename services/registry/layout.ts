import type { Digest, RepositoryName, Tag } from '../reference/reference.js'
import { algorithmOf, hexOf } from '../reference/reference.js'

/**
 * Every path the registry uses in storage, as docker's registry lays it out, so that both can serve the same data.
 * `_referrers` below `_manifests` and the files named in {@link uploadDigestsPath} and {@link mediaTypePath} are ours;
 * docker's registry walks past them.
 */
const ROOT = '/docker/registry/v2'

export const REPOSITORIES = `${ROOT}/repositories`
export const BLOBS = `${ROOT}/blobs`

/** The two sets of links a repository has. */
export type LinkSet = '_layers' | '_manifests/revisions'

export function blobPath (digest: Digest): string {
  return `${blobDirectory(digest)}/data`
}

export function blobDirectory (digest: Digest): string {
  const hex = hexOf(digest)
  return `${BLOBS}/${algorithmOf(digest)}/${hex.slice(0, 2)}/${hex}`
}

export function repositoryPath (name: RepositoryName): string {
  return `${REPOSITORIES}/${name}`
}

export function manifestsPath (name: RepositoryName): string {
  return `${repositoryPath(name)}/_manifests`
}

export function linksPath (name: RepositoryName, set: LinkSet): string {
  return `${repositoryPath(name)}/${set}`
}

/** Of a manifest's link and what lies beside it. */
export function revisionDirectory (name: RepositoryName, digest: Digest): string {
  return `${linksPath(name, '_manifests/revisions')}/${digestPath(digest)}`
}

export function linkPath (name: RepositoryName, set: LinkSet, digest: Digest): string {
  return `${linksPath(name, set)}/${digestPath(digest)}/link`
}

/** Beside a revision's link: the media type it was pushed with, kept only where the bytes do not tell. */
export function mediaTypePath (name: RepositoryName, digest: Digest): string {
  return `${manifestsPath(name)}/revisions/${digestPath(digest)}/mediatype`
}

export function tagsPath (name: RepositoryName): string {
  return `${manifestsPath(name)}/tags`
}

export function tagPath (name: RepositoryName, tag: Tag): string {
  return `${tagsPath(name)}/${tag}`
}

export function tagCurrentPath (name: RepositoryName, tag: Tag): string {
  return `${tagPath(name, tag)}/current/link`
}

/** Everything a tag ever pointed at. */
export function tagHistoryPath (name: RepositoryName, tag: Tag): string {
  return `${tagPath(name, tag)}/index`
}

export function tagIndexPath (name: RepositoryName, tag: Tag, digest: Digest): string {
  return `${tagHistoryPath(name, tag)}/${digestPath(digest)}/link`
}

/** All subjects that something refers to. */
export function subjectsPath (name: RepositoryName): string {
  return `${manifestsPath(name)}/_referrers`
}

export function referrersPath (name: RepositoryName, subject: Digest): string {
  return `${subjectsPath(name)}/${digestPath(subject)}`
}

export function referrerPath (name: RepositoryName, subject: Digest, referrer: Digest): string {
  return `${referrersPath(name, subject)}/${digestPath(referrer)}`
}

export function referrerLinkPath (name: RepositoryName, subject: Digest, referrer: Digest): string {
  return `${referrerPath(name, subject, referrer)}/link`
}

export function uploadsPath (name: RepositoryName): string {
  return `${repositoryPath(name)}/_uploads`
}

export function uploadPath (name: RepositoryName, id: string): string {
  return `${uploadsPath(name)}/${id}`
}

export function uploadDataPath (name: RepositoryName, id: string): string {
  return `${uploadPath(name, id)}/data`
}

export function uploadStartedAtPath (name: RepositoryName, id: string): string {
  return `${uploadPath(name, id)}/startedat`
}

/** The digests of the bytes received so far; see `services/uploads/digests.ts`. */
export function uploadDigestsPath (name: RepositoryName, id: string): string {
  return `${uploadPath(name, id)}/digests`
}

function digestPath (digest: Digest): string {
  return `${algorithmOf(digest)}/${hexOf(digest)}`
}
