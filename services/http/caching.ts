/** For content under its digest: as long as caches will keep it. */
export const IMMUTABLE = 'max-age=31536000, immutable'
