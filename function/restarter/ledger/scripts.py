"""What Redis does in one step, in its Lua. Each script has one key, so a cluster can run it, and any time is Redis's.

Redis 5 or newer, or Valkey: before, a script that had asked for the time could not write.
"""

# A claim that is still ours was taken by the first half of this very command, when the connection broke.
CLAIM = """
local held = redis.call('get', KEYS[1])
if held and held ~= ARGV[1] then return held end
redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2])
return false
"""

# Only the delivery that holds a claim may give it up: it may have expired and be held by another by now.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

# Restarts within the window (seconds, ARGV[1]) of other events than this one (ARGV[2]), and a hash of all of them.
_OTHERS = """
local time = redis.call('time')
local now = time[1] + time[2] / 1000000
local since = string.format('%.6f', now - ARGV[1])
local kept = redis.call('zrangebyscore', KEYS[1], '(' .. since, '+inf', 'withscores')
local ages, seen = {}, {}
for i = 1, #kept, 2 do
  if kept[i] ~= ARGV[2] then
    ages[#ages + 1] = string.format('%.3f', math.max(now - kept[i + 1], 0))
    seen[#seen + 1] = kept[i] .. ' ' .. kept[i + 1]
  end
end
local version = redis.sha1hex(table.concat(seen, ' '))
"""

HISTORY = f"""{_OTHERS}
table.insert(ages, 1, version)
return ages
"""

# Restarts older than the window are removed; then one more is recorded, if the others are the expected ones (ARGV[3]).
RESERVE = f"""{_OTHERS}
if version ~= ARGV[3] then return 0 end
redis.call('zremrangebyscore', KEYS[1], '-inf', since)
redis.call('zadd', KEYS[1], string.format('%.6f', now), ARGV[2])
redis.call('expire', KEYS[1], ARGV[4])
return 1
"""
