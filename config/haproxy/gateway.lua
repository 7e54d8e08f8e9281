-- HAProxy asks the gateway before every request: `http-request lua.ask_gateway ADDRESS PAGE`, as haproxy.cfg does.
--
-- The check is a GET of the gateway's `ext_authz`, and says in X-Forwarded-* what the visitor asks for. With 200 the
-- request goes on: with the identity, without the gateway's own cookies, and marked by the variable txn.may_pass. Any
-- other answer is the visitor's, as it is: the redirect to sign in, the problem for a program, the page.
--
-- HAProxy goes on with a request whose Lua has failed. So what is not marked is refused, in haproxy.cfg.

local TIMEOUT = 30000 -- ms; haproxy.cfg gives up before that, and tries again elsewhere

-- What the gateway looks at. Nothing that concerns one connection, nor a body's length: a check has no body.
local ASKED_WITH = {
  "^host$", "^cookie$", "^authorization$", "^origin$", "^user%-agent$", "^accept$", "^accept%-language$",
  "^content%-type$", "^purpose$", "^x%-moz$", "^x%-requested%-with$", "^x%-request%-id$", "^x%-forwarded%-",
  "^access%-control%-request%-", "^sec%-", "^hx%-",
}

-- What an answer says of itself, and not of the visitor.
local OF_THE_ANSWER = {
  ["cache-control"] = true, ["content-type"] = true, ["date"] = true, ["server"] = true, ["set-cookie"] = true,
  ["vary"] = true,
}

-- What HAProxy says itself, of each connection.
local OF_THE_CONNECTION = {
  ["connection"] = true, ["content-length"] = true, ["keep-alive"] = true, ["transfer-encoding"] = true,
}

local function is_asked_with(name)
  for _, pattern in ipairs(ASKED_WITH) do
    if name:find(pattern) then return true end
  end
  return false
end

-- Fields of the same name, in order. HAProxy counts what it gives from 0, and what it is given from 1.
local function in_order(values)
  local ordered = {}
  local at = 0
  while values[at] ~= nil do
    ordered[at + 1] = values[at]
    at = at + 1
  end
  return ordered
end

local function ask(txn, address, page)
  local fields = {}
  for name, values in pairs(txn.http:req_get_headers()) do
    if is_asked_with(name) then fields[name] = in_order(values) end
  end
  return core.httpclient():get{ url = "http://gateway" .. page, dst = address, headers = fields, timeout = TIMEOUT }
end

local function let_pass(txn, answer)
  txn.http:req_del_header("cookie") -- the answer has the visitor's, but the gateway's own
  for name, values in pairs(answer.headers) do
    if not OF_THE_ANSWER[name] and not OF_THE_CONNECTION[name] then
      txn.http:req_del_header(name)
      for _, value in ipairs(in_order(values)) do txn.http:req_add_header(name, value) end
    end
  end
  txn:set_var("txn.may_pass", true)
end

local function refuse(txn, answer)
  local reply = txn:reply{ status = answer.status, reason = answer.reason }
  for name, values in pairs(answer.headers) do
    if not OF_THE_CONNECTION[name] then
      for _, value in ipairs(in_order(values)) do reply:add_header(name, value) end
    end
  end
  if txn.f:method() ~= "HEAD" then reply:set_body(answer.body) end
  txn:done(reply)
end

core.register_action("ask_gateway", { "http-req" }, function(txn, address, page)
  local answer = ask(txn, address, page)
  if answer.status == 200 then
    let_pass(txn, answer)
  elseif answer.status then
    refuse(txn, answer)
  end
end, 2)
