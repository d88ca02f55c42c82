-- The part of `python -m lupa` that needs Lua's own view of things: error values, tracebacks, and
-- C's streams.  Called with two Python functions, it gives a table of functions for the Python side.
-- Locals keep what a script may take away.  This has to run on every Lua from 5.1 on.

local on_exception, flush_python = ...
local loadfile, load, require = loadfile, loadstring or load, require
local type, tostring, select = type, tostring, select
local unpack_of_table = table.unpack
local unpack = unpack or unpack_of_table
local version, jit_version = _VERSION, jit and jit.version
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

-- How this Lua's own command shows an error value that is no string: not at all (nil), by its `__tostring`, or by
-- some words; with the traceback or without.
local is_old = not unpack_of_table or jit_version ~= nil
local told_with_stack = jit_version ~= nil

local function other_value(value)
  if value == nil and (is_old or version == "Lua 5.2") then
    return nil
  end
  if not is_old or jit_version then
    local metatable = getmetatable(value)
    if type(metatable) == "table" and metatable.__tostring then
      local text = metatable.__tostring(value)
      if type(text) == "string" then
        return text, told_with_stack
      end
    end
  end
  if is_old then
    return "(error object is not a string)"
  elseif version == "Lua 5.2" then
    return "(no error message)"
  end
  return "(error object is a " .. type(value) .. " value)", true
end

-- The message for an error value, ready to be shown; false if there is nothing to show. Level 1 is this function.
function host.handler(value)
  if type(value) == "string" or type(value) == "number" then
    return host.prefix .. traceback(tostring(value), 2)
  end
  if type(value) == "userdata" then
    local shows_stack = on_exception(value)
    if shows_stack ~= nil then
      return shows_stack and sub(traceback("", 2), 2)
    end
  end
  local text, with_stack = other_value(value)
  if text == nil then
    return false
  end
  return host.prefix .. (with_stack and traceback(text, 2) or text)
end

-- The results of what was run last.
local results = {n = 0}

-- Takes the results of what was run, or reports its error: what the handler has made of it, or, without memory or with an
-- error in the handler, Lua's own message.
function host.done(works, ...)
  if works then
    results = pack(...)
    return
  end
  results = {n = 0}
  local message = ...
  if type(message) == "string" and sub(message, 1, #host.prefix) ~= host.prefix and not find(message, "\n", 1, true) then
    message = host.prefix .. message
  end
  if message then
    report(tostring(message))
  end
end

local function loaded(chunk, message)
  if not chunk then
    report(host.prefix .. message)
  end
  return chunk or nil
end

function host.load_string(code, name)
  return loaded(load(code, name))
end

-- The chunk of a file; without a name, of the standard input.
function host.load_file(name)
  return loaded(loadfile(name))
end

host.require = require

-- Sets a global to the first result.
function host.keep(name)
  globals[name] = results[1]
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

-- The number of the first result that is to be printed, of what was typed last.
local first

-- The chunk of what was typed; nil if it is not complete, which `is_all` says that it has to be, or is wrong.
local function interpret(code, is_all)
  code = gsub(code, "^=", "")
  -- Behind another value a call is no tail call, so that an error in it knows its line.
  local chunk, message = load("return nil, " .. code, "=stdin")
  first = 2
  if not chunk then
    chunk, message = load(code, "=stdin")
    first = 1
  end
  if not chunk then
    if not is_all and find(message, "<eof>'?$") then
      return nil, true
    end
    report(message)
  end
  return chunk or nil, false
end

function host.feed(line)
  local code = pending and pending .. "\n" .. line or line
  pending = nil
  local chunk, goes_on = interpret(code)
  if goes_on then
    pending = code
  end
  return chunk
end

-- Reads a line and takes it: false at the end of the input, or true and what `feed` gives.
function host.feed_from_input()
  host.write(host.prompt())
  local line = stdin:read("*l")
  if line then
    return true, host.feed(line)
  end
  return false
end

-- The chunk of what is left at the end of the input, if there is something.
function host.finish()
  if pending then
    return (interpret(pending, true))
  end
end

-- Prints the results of what was typed: a function to be called, for the `print` of a script may fail.
function host.has_results()
  return results.n >= first
end

function host.print_results()
  globals.print(unpack(results, first, results.n))
end

return host
