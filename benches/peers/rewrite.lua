-- The alternative that a platform team would write instead of using a gateway: reads the page by its number, decodes
-- it, cuts it to the limit, and puts it into the envelope with signed cursors and a Link header. It has one key, uses
-- HMAC-SHA-1 (nginx has no SHA-256 for Lua without another module), and proves nothing about the page.
local cjson = require "cjson.safe"

local secret = "a-key-of-the-benchmark-and-of-nothing-else"
local encode, decode = ngx.encode_base64, ngx.decode_base64
local hmac = ngx.hmac_sha1

local function seal(id)
    local payload = tostring(id)
    local text = encode(payload .. ":" .. hmac(secret, payload), true)
    return (text:gsub("[+/]", { ["+"] = "-", ["/"] = "_" }))
end

local function open(text)
    local bytes = decode((text:gsub("[-_]", { ["-"] = "+", ["_"] = "/" })))
    if not bytes then return nil end
    local payload, tag = bytes:match("^(%d+):(.*)$")
    if not payload or hmac(secret, payload) ~= tag then return nil end
    return tonumber(payload)
end

local args = ngx.req.get_uri_args()
local limit = tonumber(args.limit) or 20
local after = 0
if args.cursor then
    after = open(args.cursor)
    if not after then
        ngx.status = 400
        return ngx.say('{"code":"cursor_invalid"}')
    end
end

local answer = ngx.location.capture("/upstream" .. ngx.var.uri, { args = "offset=" .. after .. "&limit=" .. limit + 2 })
local page = cjson.decode(answer.body)
if answer.status ~= 200 or not page then
    ngx.status = 502
    return ngx.say('{"code":"upstream_malformed"}')
end

local items = {}
for _, item in ipairs(page.data) do
    if item.id > after and #items < limit then items[#items + 1] = item end
end
local base = ngx.var.uri .. "?limit=" .. limit
local next_cursor, prev_cursor = seal(items[#items].id), seal(items[1].id)
local links = {
    self = ngx.var.request_uri, first = base, last = base .. "&cursor=" .. seal(page.total - limit),
    next = base .. "&cursor=" .. next_cursor, prev = base .. "&cursor=" .. prev_cursor,
}
local body = cjson.encode {
    data = items,
    pagination = {
        total = page.total, pageSize = limit, nextCursor = next_cursor, prevCursor = prev_cursor, hasMore = true,
    },
    links = links,
}
ngx.header["Content-Type"] = "application/json"
ngx.header["Content-Length"] = #body
ngx.header["Link"] = "<" .. links.next .. '>; rel="next", <' .. links.prev .. '>; rel="prev", <' .. links.first
    .. '>; rel="first", <' .. links.last .. '>; rel="last"'
ngx.print(body)
