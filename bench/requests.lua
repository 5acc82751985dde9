-- For wrk: sends the requests of a file, written out as HTTP/1.1 with a line "====" behind each, in turn.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local requests = {}
local at = 0
-- wrk asks for one request before the first, which it does not send.
sent = -1

function init(args)
  local text = io.open(args[1], "rb"):read("*a")
  for one in text:gmatch("(.-)\n====\n") do
    table.insert(requests, one)
  end
end

function request()
  at = at % #requests + 1
  sent = sent + 1
  return requests[at]
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  local all = 0
  for _, thread in ipairs(threads) do
    all = all + thread:get("sent")
  end
  io.write(string.format("RESULT %d %d %d %d\n", summary.requests, failed, all, summary.duration))
end
