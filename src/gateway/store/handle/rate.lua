-- A rate that processes share, by the generic cell rate algorithm. KEYS[1] holds the time at which all that was taken has
-- come back, in microseconds of the server's clock: so the clocks of the processes don't matter. ARGV has the microseconds
-- in which one unit comes back, the most units, those to take, and 1 if they have been used already. Returns 1 if they were
-- taken, the units that are left, the microseconds until these units can be taken, and those until all are there.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local unit, most, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local span = unit * most
local back = tonumber(redis.call('GET', KEYS[1]) or '') or now
if not (back > now) then back = now end
-- After a clock that was set back, or a foreign value: units beyond the most are missing, but not for ever.
if back > now + 100 * span then back = now + 100 * span end
local over = back + unit * math.min(cost, most) - now - span
if over > 0 and ARGV[4] ~= '1' then
  return { 0, math.max(0, math.floor((now + span - back) / unit)), over, back - now }
end
local after = math.max(now, back + unit * cost)
if after > now then
  redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', math.ceil((after - now) / 1000))
elseif back > now then
  redis.call('SET', KEYS[1], string.format('%.0f', now), 'PX', 1)
end
return { 1, math.max(0, math.floor((now + span - after) / unit)), 0, after - now }
