-- The part of `python -m lupa` that needs Lua's own view of things: error values, tracebacks, and
-- C's streams.  Called with two Python functions, it gives a table of functions for the Python side.
-- Locals keep what a script may take away.  This has to run on every Lua from 5.1 on.

local on_exception, flush_python = ...
local loadfile, load, require = loadfile, loadstring or load, require
local type, tostring, select, xpcall = type, tostring, select, xpcall
local unpack = unpack or table.unpack
local find, gsub, sub = string.find, string.gsub, string.sub
local traceback, getmetatable = debug.traceback, debug.getmetatable
local stdin, stdout, stderr, exit = io.stdin, io.stdout, io.stderr, os.exit
local globals = _G
local host = {prefix = "lua: "}

function os.exit(...)
  flush_python()  -- the C function knows nothing of Python's buffers
  exit(...)
end

local function pack(...)
  return {n = select("#", ...), ...}
end

local function report(message)
  stdout:flush()
  stderr:write(message, "\n")
  stderr:flush()
  return false
end

-- The traceback of an error, as if nothing but C were below the function that `call` has called.
local function stack(message, own_frames)
  local text = traceback(message, 4)
  for _ = 1, own_frames do
    text = gsub(text, "\n[^\n]*$", "")
  end
  -- Lua would say so itself, had C called the chunk.
  text = gsub(text, "(\n\t[^%[\n][^\n]*: in )[^\n]*$", "%1main chunk")
  return text .. "\n\t[C]: in ?"
end

-- The message for an error value, ready to be shown; false if there is nothing to show.
local function describe(value, own_frames)
  if type(value) == "string" or type(value) == "number" then
    return host.prefix .. stack(tostring(value), own_frames)
  end
  if type(value) == "userdata" then
    local shows_stack = on_exception(value)
    if shows_stack ~= nil then
      return shows_stack and sub(stack("", own_frames), 2)
    end
  end
  local metatable = getmetatable(value)
  if type(metatable) == "table" and metatable.__tostring then
    local text = metatable.__tostring(value)
    if type(text) == "string" then
      return host.prefix .. text
    end
  end
  return host.prefix .. "(error object is a " .. type(value) .. " value)"
end

-- Calls a function and reports its error. Gives true and the packed results, or false.
local function call(f, ...)
  local arguments = pack(...)
  -- The frames from here down, and two above: xpcall and the function that it calls.
  local own_frames = 2 + select(2, gsub(traceback("", 1), "\n\t", ""))
  local handled = false
  local ok, result = xpcall(function()
    local results = pack(f(unpack(arguments, 1, arguments.n)))
    return results
  end, function(value)
    local message = describe(value, own_frames)
    handled = true
    return message
  end)
  if ok then
    return true, result
  end
  if not handled then  -- no memory, or an error in the handler: Lua's own message
    result = host.prefix .. tostring(result)
  end
  if result then
    report(result)
  end
  return false
end

local function run(chunk, message, ...)
  if not chunk then
    return report(host.prefix .. message)
  end
  return (call(chunk, ...))
end

function host.run_string(code, name)
  return run(load(code, name))
end

-- Runs a file; without a name, the standard input.
function host.run_file(name, ...)
  local chunk, message = loadfile(name)
  return run(chunk, message, ...)
end

function host.require(name, global)
  local ok, results = call(require, name)
  if ok and global then
    globals[global] = results[1]
  end
  return ok
end

function host.set_arguments(...)
  local arguments = pack(...)
  local first = arguments[1]
  globals.arg = {}
  for index = 2, arguments.n do
    globals.arg[first + index - 2] = arguments[index]
  end
end

function host.write(text)
  stdout:write(text)
  stdout:flush()
end

-- The lines of an interaction that are not yet a statement, if there are any.
local pending

function host.forget_pending()
  pending = nil
end

function host.prompt()
  local prompt = pending and globals._PROMPT2 or not pending and globals._PROMPT
  return prompt and tostring(prompt) or pending and ">> " or "> "
end

-- Runs what was typed and prints its results. True if more has to follow.
local function interpret(code, is_all)
  code = gsub(code, "^=", "")
  -- Behind another value a call is no tail call, so that an error in it knows its line.
  local chunk, message = load("return nil, " .. code, "=stdin")
  local first = 2
  if not chunk then
    chunk, message = load(code, "=stdin")
    first = 1
  end
  if not chunk then
    if not is_all and find(message, "<eof>'?$") then
      return true
    end
    return report(message)
  end
  local ok, results = call(chunk)
  if ok and results.n >= first then
    call(globals.print, unpack(results, first, results.n))
  end
  return false
end

function host.feed(line)
  local code = pending and pending .. "\n" .. line or line
  pending = nil
  if interpret(code) then
    pending = code
  end
end

-- Reads a line and takes it; false at the end of the input.
function host.feed_from_input()
  host.write(host.prompt())
  local line = stdin:read("*l")
  if line then
    host.feed(line)
  end
  return line ~= nil
end

function host.finish()
  if pending then
    interpret(pending, true)
  end
end

return host
