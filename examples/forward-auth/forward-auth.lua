-- Asks a session server whose session a request belongs to, for haproxy.cfg beside this file: the action `forward_auth`.
--
-- Sets txn.session_status to what it answered (200: let in; 401; 403), and to 503 for anything else, and with 200 txn.session_subject,
-- txn.session_id and txn.session_level. Should this fail half-way, what haproxy.cfg has set before stays: 503.

-- The listener of haproxy.cfg that has the session servers behind it, with their checks and kept connections.
local url = "http://127.0.0.1:26283/forward-auth/shop/user"
-- Of the session server, which gives its store two seconds, in milliseconds.
local patience = 3000

local known = { [200] = true, [401] = true, [403] = true }

local function ask(txn)
  -- The cookies, and nothing else that a client sends: no body, no headers.
  local lines = {}
  local cookies = txn.http:req_get_headers()["cookie"]
  -- Counted from 0.
  local line = 0
  while cookies ~= nil and cookies[line] ~= nil do
    lines[#lines + 1] = cookies[line]
    line = line + 1
  end
  if #lines == 0 then
    txn:set_var("txn.session_status", 401)
    return
  end
  local answer = core.httpclient():get({
    url = url,
    headers = {
      ["cookie"] = { table.concat(lines, "; ") },
      ["x-forwarded-method"] = { txn.sf:method() },
      ["x-forwarded-proto"] = { "https" },
    },
    timeout = patience,
  })
  if answer == nil or not known[answer.status] then
    return
  end
  txn:set_var("txn.session_status", answer.status)
  if answer.status ~= 200 then
    return
  end
  for _, name in ipairs({ "subject", "id", "level" }) do
    local values = answer.headers["x-session-" .. name]
    if values ~= nil and values[0] ~= nil then
      txn:set_var("txn.session_" .. name, values[0])
    end
  end
end

core.register_action("forward_auth", { "http-req" }, ask)
