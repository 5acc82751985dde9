-- For wrk: sends the cookies of a file (one a line) in turn, and counts answers that are not right.
-- Arguments: the path, the file, the expected body or "digits", "cookie" if each answer must set a cookie, else "none".
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local requests = {}
local at = 0

function init(args)
  expected, sets = args[3], args[4] == "cookie"
  wrong = 0
  for line in io.lines(args[2]) do
    table.insert(requests, wrk.format("GET", args[1], { ["Cookie"] = line, ["X-Forwarded-Proto"] = "https" }))
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function response(status, headers, body)
  local right = body == expected or (expected == "digits" and body:match("^%d+$") ~= nil)
  -- As the server spelled it.
  local set = headers["Set-Cookie"] or headers["set-cookie"]
  if status ~= 200 or not right or (set ~= nil) ~= sets then
    wrong = wrong + 1
  end
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("wrong")
  end
  io.write(string.format("RESULT %d %d\n", summary.requests, failed))
end
