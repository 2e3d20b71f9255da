// The alternative that an API team would write instead of using a gateway: a middleware that reads the upstream's page,
// cuts it to the limit, and puts it into the envelope with signed cursors and a Link header. Connections to the
// upstream are persistent.
'use strict'
const { createHmac, timingSafeEqual } = require('node:crypto')
const express = require('express')
const { Pool } = require('undici')

const secret = 'a-key-of-the-benchmark-and-of-nothing-else'
const upstream = new Pool(process.argv[2], { connections: 64 })

const tag = (payload) => createHmac('sha256', secret).update(payload).digest().subarray(0, 16)
const seal = (id) => Buffer.concat([Buffer.from(`${id}:`), tag(String(id))]).toString('base64url')

function open (text) {
  const bytes = Buffer.from(text, 'base64url')
  const colon = bytes.indexOf(58)
  const payload = bytes.subarray(0, colon).toString()
  const said = bytes.subarray(colon + 1)
  return colon > 0 && said.length === 16 && timingSafeEqual(said, tag(payload)) ? Number(payload) : undefined
}

const app = express()
app.disable('x-powered-by')
app.set('etag', false)
app.use(async (request, response, next) => {
  try {
    const limit = Number(request.query.limit ?? 20)
    const after = request.query.cursor === undefined ? 0 : open(request.query.cursor)
    if (after === undefined) return response.status(400).json({ code: 'cursor_invalid' })
    const answer = await upstream.request({ path: `${request.path}?offset=${after}&limit=${limit + 2}`, method: 'GET' })
    const page = await answer.body.json()
    const data = page.data.filter((item) => item.id > after).slice(0, limit)
    const base = `${request.path}?limit=${limit}`
    const nextCursor = seal(data[data.length - 1].id)
    const prevCursor = seal(data[0].id)
    const links = {
      self: request.originalUrl,
      first: base,
      prev: `${base}&cursor=${prevCursor}`,
      next: `${base}&cursor=${nextCursor}`,
      last: `${base}&cursor=${seal(page.total - limit)}`
    }
    response.set('Link', ['next', 'prev', 'first', 'last'].map((rel) => `<${links[rel]}>; rel="${rel}"`).join(', '))
    response.json({ data, pagination: { total: page.total, pageSize: limit, nextCursor, prevCursor, hasMore: true }, links })
  } catch (fault) {
    next(fault)
  }
})
app.listen(0, '127.0.0.1', function () { console.log(`port ${this.address().port}`) })
process.stdin.resume().on('end', () => process.exit(0))
