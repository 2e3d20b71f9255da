-- Records purges that processes share. KEYS[1] is a sorted set with the number of the last purge of each place, and
-- with a counter, whose name contains the series. The counter is never smaller than any of these numbers, and sorts
-- after them. ARGV is: the seconds until the set expires, the counter's name for a new series, the name of a counter
-- that must not be continued, and the places to purge. Returns the counter's name and number.
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
