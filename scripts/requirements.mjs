// The requirements a registry has to meet, by number: their level, and why a row has no test or is met in another way.
// MUST, SHOULD, MAY: the words of the OCI distribution spec. CONF: its conformance program. PAR: docker's own registry.
// CLIENT: real clients break otherwise. HTTP: RFC 9110 and 9112. SUITE: the older conformance suite. OWN: our decision.

const LEVELS = {
  SHOULD: '1 10 22 27 35 55 58 75-77 103 110 123 125 128 150 158 160 177-178 224 251',
  MUST: '2 26 30 33-34 39-41 48-50 52-53 73 84 87-89 91 99 104-108 112 115 117 120 122 127 136-139 143-147 154-156 159 162 171-172 190-191 193 195 198 201-203 205 207-208 216-223 225 229-234 236 242 247 249-250 252',
  CLIENT: '3 13-14 19-20 23-25 29 43-45 67 71 86 90 98 101 113-114 118-119 126 133-134 153 168 187 189 214-215 226-227 235 248 253-254',
  PAR: '4 7-8 28 46-47 54 56 74 80-81 92 96 100 109 121 132 142 149 185-186 194 204 210-213 237-239',
  HTTP: '5 16-18 57 64-66 68-69 151',
  CONF: '6 12 37-38 42 51 59-63 70 72 79 111 135 140-141 157 163-167 170 192 196 209 243-246',
  MAY: '9 11 21 83 129 169 174-175 188 206 228 241',
  SUITE: '15 31 93 131 199',
  OWN: '32 36 78 82 85 94-95 97 102 116 124 130 148 152 161 173 176 179-184 197 200 240'
}

/** Where we deviate, or decided among what is allowed, or where a row is not for this part of the program. */
export const NOTES = {
  1: 'Held by the HTTP rows below.',
  9: 'Where storage has URLs of its own: object storage, and a middleware.',
  10: 'Limits are off by default. A 429 that a host throws keeps its status and becomes TOOMANYREQUESTS.',
  21: 'Ignored: there is no pull-through cache yet.',
  28: 'Deviation: docker\'s registry takes upper case in the first component, the grammar forbids it, so do we.',
  32: 'TAG_INVALID, which docker\'s registry defines and containers/image knows.',
  66: 'Ignored, as RFC 9110 has it; docker\'s registry answers 416.',
  69: 'HEAD ignores Range, as RFC 9110 has it; docker\'s registry answers 206.',
  80: 'Deviation: accepted directly, because a redirect turns POST into GET in many clients.',
  86: 'An upload session, which is what such a client means.',
  116: '404, as docker\'s registry answers.',
  126: 'Deviation: push permission is enough, docker\'s registry wants delete.',
  129: 'From repositories that were lately seen to hold the blob and that the caller may pull from; else 202.',
  148: 'Deviation: the stored type whatever Accept says; docker\'s registry answers 404 for OCI types.',
  161: 'A missing or generic Content-Type is made good by the mediaType in the body.',
  169: 'Strict unless `validation` says otherwise.',
  178: '413; docker\'s registry answers 400.',
  183: 'Duplicate keys: the last one counts, everywhere. Invalid UTF-8 is refused.',
  186: 'MANIFEST_INVALID.',
  188: 'Not offered.',
  197: 'Accepted; the index is sparse then.',
  200: 'Two addresses of one manifest: deleting either deletes both, and the tags of both.',
  211: 'Clamped to `tags.maxtags`.',
  235: 'Not offered.',
  240: 'The catalog needs the scope `registry:catalog:*`.',
  243: 'The controller\'s challenge is passed on as it is.',
  245: 'A controller is asked about both repositories of a mount at once.',
  248: 'The access controller is asked before anything is looked up, so its answer cannot depend on what exists.',
  252: 'Pull, push, content discovery and content management; see docs/openapi.json.'
}

/** Rows that a note alone answers: there is nothing of ours to test yet, or at all. */
export const WITHOUT_TEST = new Set([1, 188, 235])

/** Level by row number. */
export const LEVEL = new Map(Object.entries(LEVELS).flatMap(([level, rows]) => rows.split(' ').flatMap(range => {
  const [first, last = first] = range.split('-').map(Number)
  return Array.from({ length: last - first + 1 }, (_, i) => [first + i, level])
})))
