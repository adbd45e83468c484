"""The atomic operations of Redis, as Lua scripts. Each has one key, so a cluster can run it; times are Redis's.

They need Redis 5 or newer, or Valkey: in older versions a script that has read the time cannot write.
"""

# A claim that is ours already was made by this same command, before its connection broke and the client repeated it.
CLAIM = """
local held = redis.call('get', KEYS[1])
if not held then redis.call('set', KEYS[1], ARGV[1], 'px', ARGV[2]) end
if not held or held == ARGV[1] then return {} end
return {held, redis.call('pttl', KEYS[1])}
"""

# Only the delivery that holds a claim may release it: it may have expired, and another delivery may hold it by now.
RELEASE = "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) end return 0"

# The restarts within the window (seconds, ARGV[1]), and a hash of who made them and when. A member of the set is
# `event:attempt:state:note`; release 0.2.0 wrote only the event.
_WITHIN = """
local time = redis.call('time')
local now = time[1] + time[2] / 1000000
local since = string.format('%.6f', now - ARGV[1])
local kept = redis.call('zrangebyscore', KEYS[1], '(' .. since, '+inf', 'withscores')
local found, seen = {}, {}
for i = 1, #kept, 2 do
  found[#found + 1] = string.format('%.3f', math.max(now - kept[i + 1], 0))
  found[#found + 1] = kept[i]
  seen[#seen + 1] = string.match(kept[i], '^[^:]*:?[^:]*') .. ' ' .. kept[i + 1]
end
local version = redis.sha1hex(table.concat(seen, ' '))
"""

HISTORY = f"""{_WITHIN}
table.insert(found, 1, version)
return found
"""

# Restarts older than the window are removed; then one more is recorded (ARGV[3] is `event:attempt:`, ARGV[4] the rest),
# if the history is the expected one (ARGV[2]). If it exists already, this same command recorded it and was repeated.
RESERVE = f"""{_WITHIN}
for i = 1, #kept, 2 do
  if string.find(kept[i], ARGV[3], 1, true) == 1 then return 1 end
end
if version ~= ARGV[2] then return 0 end
redis.call('zremrangebyscore', KEYS[1], '-inf', since)
redis.call('zadd', KEYS[1], string.format('%.6f', now), ARGV[3] .. ARGV[4])
redis.call('expire', KEYS[1], ARGV[5])
return 1
"""

# Remove the entry of an attempt (ARGV[1] is `event:attempt:`), or replace its state with ARGV[2], if there is one. The
# new entry is added first, because Redis deletes an empty set at once, and its expiry with it.
END = """
local kept = redis.call('zrangebyscore', KEYS[1], '-inf', '+inf', 'withscores')
for i = 1, #kept, 2 do
  if string.find(kept[i], ARGV[1], 1, true) == 1 then
    local changed = ARGV[2] and ARGV[1] .. ARGV[2] .. string.sub(kept[i], #ARGV[1] + #ARGV[2] + 1)
    if changed then redis.call('zadd', KEYS[1], kept[i + 1], changed) end
    if changed ~= kept[i] then redis.call('zrem', KEYS[1], kept[i]) end
  end
end
return 1
"""

ALL = (CLAIM, RELEASE, HISTORY, RESERVE, END)
