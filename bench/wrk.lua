-- For wrk: sends the cookies of a file (one a line) in turn, and counts answers that are not right.
-- Arguments: the path, the file, the expected body or "digits", and "cookie" if each answer must set a cookie, "none" if none
-- may, or "any". A line without anything is a visitor without a cookie. And, where cookies of answers are to be kept: the file
-- they are added to, and how many answers there are for each that is kept.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local requests = {}
local at = 0
-- wrk asks for one request before the first, which it does not send.
sent = -1

function init(args)
  expected, sets = args[3], args[4]
  wrong, answers = 0, 0
  if args[5] then
    kept, every = io.open(args[5], "a"), tonumber(args[6])
    kept:setvbuf("line")
  end
  for line in io.lines(args[2]) do
    local headers = { ["X-Forwarded-Proto"] = "https" }
    if line ~= "" then
      headers["Cookie"] = line
    end
    table.insert(requests, wrk.format("GET", args[1], headers))
  end
end

function request()
  at = at % #requests + 1
  sent = sent + 1
  return requests[at]
end

function response(status, headers, body)
  local right = body == expected or (expected == "digits" and body:match("^%d+$") ~= nil)
  -- As the server spelled it.
  local set = headers["Set-Cookie"] or headers["set-cookie"]
  if status ~= 200 or not right or (sets ~= "any" and (set ~= nil) ~= (sets == "cookie")) then
    wrong = wrong + 1
  elseif kept then
    answers = answers + 1
    if answers % every == 0 then
      kept:write(set:match("^[^;]*"), "\n")
    end
  end
end

function done(summary)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.timeout
  local all = 0
  for _, thread in ipairs(threads) do
    failed = failed + thread:get("wrong")
    all = all + thread:get("sent")
  end
  io.write(string.format("RESULT %d %d %d\n", summary.requests, failed, all))
end
