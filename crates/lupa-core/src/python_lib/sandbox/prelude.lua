-- Makes the globals of a sandbox. Arguments: the set of the libraries that it shall have, whether `load`
-- takes a mode, and a function that puts two together: what the first does for a table without a
-- metatable, and the second for all else. What is made here uses locals only: a script can change all
-- globals, the methods of strings, and in Lua 5.1 the environment of each function.

local wanted, has_mode, guard = ...
local error, getmetatable, load, pairs, rawget, select, tonumber, type =
  error, getmetatable, load, pairs, rawget, select, tonumber, type
local byte, find, gmatch = string.byte, string.find, string.gmatch
local globals, old = _G, _VERSION == "Lua 5.1"

local KEPT = {
  base = "_G _VERSION assert collectgarbage error getfenv getmetatable ipairs load loadstring next pairs "
    .. "pcall print rawequal rawget rawlen rawset select setfenv setmetatable tonumber tostring type unpack "
    .. "warn xpcall",
  bit = "arshift band bnot bor bswap bxor lshift rol ror rshift tobit tohex",
  bit32 = "arshift band bnot bor btest bxor extract lrotate lshift replace rrotate rshift",
  coroutine = "close create isyieldable resume running status wrap yield",
  debug = "traceback",
  math = "abs acos asin atan atan2 ceil cos cosh deg exp floor fmod frexp huge ldexp log log10 max "
    .. "maxinteger min mininteger modf pi pow rad random randomseed sin sinh sqrt tan tanh tointeger type ult",
  os = "clock date difftime time",
  string = "byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper",
  table = "concat create foreach foreachi getn insert maxn move pack remove sort unpack",
  utf8 = "char charpattern codepoint codes len offset",
}

local function trim(container, kept)
  local names = {}
  for name in gmatch(kept, "%S+") do names[name] = true end
  for name in pairs(container) do
    if not names[name] then container[name] = nil end
  end
end

local globals_kept, loaded = "python", { python = python }
for name in pairs(wanted) do
  if name == "base" then
    globals_kept = globals_kept .. " " .. KEPT.base
    loaded._G = globals
  elseif name ~= "package" then
    globals_kept = globals_kept .. " " .. name
    loaded[name] = globals[name]
    trim(globals[name], KEPT[name])
  end
end

-- Precompiled code can do anything with the machine.
local PRECOMPILED = "a sandbox loads no precompiled code"

if has_mode then
  local load = load
  function globals.load(chunk, name, mode, ...)
    if type(mode) == "string" then
      if not find(mode, "t", 1, true) then return nil, PRECOMPILED end
      mode = "t"
    elseif mode == nil then
      mode = "t"
    end
    return load(chunk, name, mode, ...)
  end
  if loadstring then globals.loadstring = globals.load end
else
  local load, loadstring = load, loadstring
  function globals.load(read, name)
    if type(read) ~= "function" then return load(read, name) end
    local first = true
    return load(function()
      local piece = read()
      if first and type(piece) == "string" and byte(piece) == 27 then error(PRECOMPILED, 0) end
      first = false
      return piece
    end, name)
  end
  function globals.loadstring(code, name)
    if type(code) == "string" and byte(code) == 27 then return nil, PRECOMPILED end
    return loadstring(code, name)
  end
end

-- A script may ask for a collection, but not stop the collector of its host.
local collectgarbage = collectgarbage
function globals.collectgarbage(option)
  if option == nil then option = "collect" end
  if option ~= "collect" and option ~= "count" and option ~= "step" then
    error("a sandbox has only the options 'collect', 'count' and 'step' of collectgarbage", 2)
  end
  return collectgarbage(option)
end

-- Finalizers run where nothing limits them. (In Lua 5.1 only `newproxy` gives them, which is not kept.)
if not old then
  local setmetatable = setmetatable
  function globals.setmetatable(value, metatable)
    if type(metatable) == "table" and rawget(metatable, "__gc") ~= nil then
      error("a sandbox has no finalizers (__gc)", 2)
    end
    return setmetatable(value, metatable)
  end
end

-- Lua 5.1 and LuaJIT give the system's strftime what they are given, and some systems end the process
-- for what they do not know.
if old and wanted.os then
  local date = os.date
  function os.date(format, ...)
    if type(format) == "string" then
      for conversion in gmatch(format, "%%(.?)") do
        if not find(conversion, "^[aAbBcCdDeFgGhHIjmMnprRStTuUVwWxXyYzZ%%]$") then
          error("invalid conversion specifier '%" .. conversion .. "'", 2)
        end
      end
    end
    return date(format, ...)
  end
end

-- Nothing can interrupt a loop in C, so none may be as long as a script likes.
do
  local rep = string.rep
  function string.rep(text, count, separator)
    if text == "" and (separator == nil or separator == "") then return "" end
    return rep(text, count, separator)
  end
end

if wanted.table and table.move then
  local MOST = 2 ^ 26
  local move = table.move
  function table.move(from, first, last, ...)
    if (tonumber(last) or 0) + 0.0 - (tonumber(first) or 0) >= MOST then
      error("too many elements to move", 2)
    end
    return move(from, first, last, ...)
  end
end

-- The time for a comparison is not much, but before Lua 5.3 their number can be the square of the length.
if wanted.table then
  local sort, is_fast = table.sort, _VERSION >= "Lua 5.3"
  local function is_less(a, b) return a < b end
  function table.sort(list, compare)
    if compare == nil then
      if is_fast and getmetatable(list) == nil then return sort(list) end
      return sort(list, is_less)
    elseif type(compare) ~= "function" then
      return sort(list, compare)
    end
    return sort(list, function(a, b) return compare(a, b) end)
  end
end

-- The `__len` of a metatable can be any number.
if wanted.table and not old then
  local insert, remove = table.insert, table.remove
  table.insert = guard(insert, function(list, ...)
    local count = select("#", ...)
    if type(list) ~= "table" or count < 1 or count > 2 then return insert(list, ...) end
    local free = #list + 1
    if count == 1 then
      list[free] = ...
      return
    end
    local position, value = ...
    position = tonumber(position)
    if not position or position < 1 or position > free then
      error("bad argument #2 to 'insert' (position out of bounds)", 2)
    end
    for index = free, position + 1, -1 do list[index] = list[index - 1] end
    list[position] = value
  end)
  table.remove = guard(remove, function(list, position)
    if type(list) ~= "table" then return remove(list, position) end
    local size = #list
    position = tonumber(position == nil and size or position)
    if not position or position ~= size and (position < 1 or position > size + 1) then
      error("bad argument #2 to 'remove' (position out of bounds)", 2)
    end
    local value = list[position]
    while position < size do
      list[position] = list[position + 1]
      position = position + 1
    end
    list[position] = nil
    return value
  end)
end

if wanted.package then
  local preload = {}
  globals.package = { loaded = loaded, preload = preload, path = "", cpath = "" }
  loaded.package = globals.package
  function globals.require(name)
    if type(name) ~= "string" then error("the name of a module is a string", 2) end
    local module = loaded[name]
    if module then return module end
    local loader = preload[name]
    if not loader then
      error("module '" .. name .. "' not found:\n\tno field package.preload['" .. name
        .. "']\n\ta sandbox loads no files", 2)
    end
    local value = loader(name, ":preload:")
    if value ~= nil then
      loaded[name] = value
    elseif loaded[name] == nil then
      loaded[name] = true
    end
    return loaded[name]
  end
  globals_kept = globals_kept .. " package require"
end

if not wanted.string then getmetatable("").__index = nil end
trim(globals, globals_kept)
