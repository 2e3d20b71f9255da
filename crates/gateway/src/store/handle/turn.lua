-- Takes or keeps the turn of a holder: KEYS[1] is the turn, ARGV[1] the holder, and ARGV[2] the milliseconds after which
-- the turn is free unless its holder keeps it. Returns 1 if the holder has the turn, and otherwise 0.
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
