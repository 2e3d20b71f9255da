-- Purges that processes share: KEYS[1] is a sorted set with the number of the last purge of each place, and a counter, whose
-- name has the series. The counter is never smaller than another number, and sorts after it. ARGV has the seconds for which
-- the set is kept, the name of a counter to begin a new series with, the name of one that may not stay, and the places to
-- purge. Returns the counter and its number.
local counter = redis.call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
local name, number = counter[1], tonumber(counter[2])
if not name or not string.find(name, '^~%x+$') or name == ARGV[3] or number >= 2 ^ 52 then
  redis.call('DEL', KEYS[1])
  name = ARGV[2]
end
number = redis.call('ZINCRBY', KEYS[1], 1, name)
for place = 4, #ARGV do
  redis.call('ZADD', KEYS[1], number, ARGV[place])
end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return { name, number }
