local used, longest = ARGV[1] == '1', 3000 * 86400 * 1000000
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local value = redis.call('GET', KEYS[1]) or ''
local whole = {}
if #value <= 4096 then
  for limit, at in string.gmatch(value, '([^ =]+)=(%d+)') do
    at = tonumber(at)
    if at > now then whole[limit] = math.min(at, now + longest) end
  end
end
local reply, after, refused = {}, {}, false
for at = 2, #ARGV, 4 do
  local unit, most, units = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local limit, span = ARGV[at] .. ':' .. ARGV[at + 1] .. ':' .. ARGV[at + 2], unit * most
  local before = math.min(whole[limit] or now, now + 100 * span)
  local over = before + unit * math.min(units, most) - now - span
  if used or over < 0 then over = 0 end
  refused = refused or over > 0
  whole[limit], after[limit] = before, math.max(now, before + unit * units)
  table.insert(reply, over)
  table.insert(reply, limit)
end
if not refused then
  for limit, at in pairs(after) do whole[limit] = at end
end
for at = 2, #reply, 2 do reply[at] = whole[reply[at]] - now end
local kept, last = {}, now
for limit, at in pairs(whole) do
  if at > now then
    table.insert(kept, string.format('%s=%.0f', limit, at))
    last = math.max(last, at)
  end
end
if #kept > 0 or value ~= '' then
  redis.call('SET', KEYS[1], table.concat(kept, ' '), 'PX', math.max(1, math.ceil((last - now) / 1000)))
end
return reply
