-- Arrays of a Lua with ffi. Elements that C could use where they are go through typed pointers, in
-- functions that are compiled as part of the loops that they are used in; for all else the C
-- functions that were in the metatable before are called.
--
-- What a pointer needs is kept beside an array, in a table that nobody else sees. An entry goes
-- before the array's memory does: when the array is released or finalized.
local ffi, metatable, native, base = ...
local type, tonumber, tostring, select, setmetatable, error =
  type, tonumber, tostring, select, setmetatable, error
local match, gsub, gmatch = string.match, string.gsub, string.gmatch
local cast, istype, typeof, sizeof = ffi.cast, ffi.istype, ffi.typeof, ffi.sizeof
local methods = metatable.methods
local slow_index, slow_newindex, collect = metatable.__index, metatable.__newindex, metatable.__gc
local slow_length = metatable.__len
local slow_get, slow_set, release = methods.get, methods.set, methods.release
local describe, no_pointer, adopt = native.describe, native.no_pointer, native.adopt
local int64, uint64 = typeof("int64_t"), typeof("uint64_t")
local complex64, complex128 = typeof("complex float"), typeof("complex")

-- How elements are read and written.
local FLOAT, INTEGER, INT64, UINT64, BOOLEAN, COMPLEX, OTHER = 1, 2, 3, 4, 5, 6, 7
local HOW = {
  bool = BOOLEAN,
  int8 = INTEGER, int16 = INTEGER, int32 = INTEGER, int64 = INT64,
  uint8 = INTEGER, uint16 = INTEGER, uint32 = INTEGER, uint64 = UINT64,
  float16 = OTHER, float32 = FLOAT, float64 = FLOAT,
  complex64 = COMPLEX, complex128 = COMPLEX,
}
-- The least and the most that an integer element holds, as numbers that are exact.
local RANGE = {
  int8 = { -2^7, 2^7 - 1 }, int16 = { -2^15, 2^15 - 1 }, int32 = { -2^31, 2^31 - 1 },
  uint8 = { 0, 2^8 - 1 }, uint16 = { 0, 2^16 - 1 }, uint32 = { 0, 2^32 - 1 },
  int64 = { -2^63, 2^63 - 2^10 }, uint64 = { 0, 2^64 - 2^11 },
}
local COMPLEX_TYPE = { complex64 = complex64, complex128 = complex128 }

local records = setmetatable({}, { __mode = "k" })

local function attach(array)
  local ctype, address, readonly, contiguous, dtype, ndim, n, step, n2, step2 = describe(array)
  local how = ctype and HOW[dtype] or OTHER
  local range = RANGE[dtype]
  local data = ctype and cast((readonly and "const " or "") .. ctype .. " *", address)
  local fast = how ~= OTHER
  local record = {
    how = how,
    data = data,
    pointer = contiguous and data or nil,
    ndim = ndim,
    length = ndim > 0 and n or nil,
    writable = fast and not readonly,
    low = range and range[1] or 0,
    high = range and range[2] or 0,
    complex = COMPLEX_TYPE[dtype],
    -- Lengths for the fast ways of one and of two indices: nothing is in bounds of the others.
    n1 = fast and ndim == 1 and n or 0,
    rows = fast and ndim == 2 and n or 0,
    columns = fast and ndim == 2 and n2 or 0,
    step = step,
    step2 = step2,
  }
  records[array] = record
  return record
end

-- Integers that a number cannot be are cdata.
local function load(record, at)
  local how = record.how
  if how == INT64 then
    local value = record.data[at]
    if value >= -9007199254740992LL and value <= 9007199254740992LL then
      return tonumber(value)
    end
    return value
  elseif how == UINT64 then
    local value = record.data[at]
    if value <= 9007199254740992ULL then
      return tonumber(value)
    end
    return value
  end
  return record.data[at]
end

-- False if the value is none of the everyday cases.
local function store(record, at, value)
  local how = record.how
  if how == FLOAT then
    if type(value) == "number" then
      record.data[at] = value
      return true
    end
  elseif how == BOOLEAN then
    if type(value) == "boolean" then
      record.data[at] = value
      return true
    end
  elseif how == COMPLEX then
    if type(value) == "number" or istype(record.complex, value) then
      record.data[at] = value
      return true
    end
  elseif type(value) == "number" then
    if value >= record.low and value <= record.high and value % 1 == 0 then
      record.data[at] = value
      return true
    end
  end
  return false
end

metatable.__index = function(array, key)
  if type(key) == "number" then
    local record = records[array] or attach(array)
    local at = key - base
    if at >= 0 and at < record.n1 and at % 1 == 0 then
      if record.step ~= 1 then
        at = at * record.step
      end
      return load(record, at)
    end
    return slow_index(array, key)
  end
  local method = methods[key]
  if method then
    return method
  end
  if key == "data" then
    return (records[array] or attach(array)).pointer or no_pointer(array)
  end
  return slow_index(array, key)
end

metatable.__newindex = function(array, key, value)
  if type(key) == "number" then
    local record = records[array] or attach(array)
    local at = key - base
    if record.writable and at >= 0 and at < record.n1 and at % 1 == 0 then
      if record.step ~= 1 then
        at = at * record.step
      end
      if store(record, at, value) then
        return
      end
    end
  end
  slow_newindex(array, key, value)
end

metatable.__len = function(array)
  local length = (records[array] or attach(array)).length
  if length then
    return length
  end
  return slow_length(array)
end

metatable.__gc = function(array)
  records[array] = nil
  collect(array)
end

function methods.release(array)
  if array ~= nil then
    records[array] = nil
  end
  release(array)
end

function methods.get(array, i, j, ...)
  local record = records[array] or attach(array)
  if type(i) == "number" and type(j) == "number" and select("#", ...) == 0 then
    local row, column = i - base, j - base
    if row >= 0 and row < record.rows and column >= 0 and column < record.columns
      and row % 1 == 0 and column % 1 == 0 then
      return load(record, row * record.step + column * record.step2)
    end
  elseif j == nil then
    if record.ndim == 1 and type(i) == "number" then
      return array[i]
    elseif i == nil then
      return slow_get(array)
    end
    return slow_get(array, i)
  elseif record.ndim == 2 + select("#", ...) and (record.how == INT64 or record.how == UINT64) then
    -- The C function has no cdata to give.
    return methods.get(array[i], j, ...)
  end
  return slow_get(array, i, j, ...)
end

function methods.set(array, i, j, value, ...)
  local record = records[array] or attach(array)
  if value == nil then
    if record.ndim == 1 and type(i) == "number" and j ~= nil then
      array[i] = j
      return
    elseif j == nil then
      return slow_set(array, i)
    end
    return slow_set(array, i, j)
  elseif type(i) == "number" and type(j) == "number" and record.writable
    and select("#", ...) == 0 then
    local row, column = i - base, j - base
    if row >= 0 and row < record.rows and column >= 0 and column < record.columns
      and row % 1 == 0 and column % 1 == 0
      and store(record, row * record.step + column * record.step2, value) then
      return
    end
  end
  return slow_set(array, i, j, value, ...)
end

local function step(array, i)
  i = i + 1
  if i - base < metatable.__len(array) then
    return i, array[i]
  end
end

function methods.each(array)
  return step, array, base - 1
end
metatable.__pairs, metatable.__ipairs = methods.each, methods.each

local functions = {}

-- Pointer, shape and strides of an array; the strides count elements.
function functions.cdata(array)
  local data = (records[array] or attach(array)).data
  if not data then
    no_pointer(array)
  end
  local strides = array.strides
  for i = 1, #strides do
    strides[i] = strides[i] / array.itemsize
  end
  return data, array.shape, strides
end

-- The value of a cdata, in a form that the C API can read.
function functions.number(value)
  if istype(int64, value) or istype(uint64, value) then
    return tostring(value)
  elseif istype(complex64, value) or istype(complex128, value) then
    return tonumber(value.re), tonumber(value.im)
  elseif match(tostring(value), "^ctype<") then
    -- Of a type itself, `tonumber` gives its place in a list.
    return nil
  end
  return tonumber(value)
end

-- An array over the memory of a cdata: an array of C, or a pointer and what it points at.
function functions.adopt(object, count)
  local name = match(tostring(typeof(object)), "^ctype<(.*)>$") or "?"
  local bare, qualifiers = gsub(name, "%f[%w_]const%f[^%w_]%s*", "")
  bare = gsub(bare, "%f[%w_]volatile%f[^%w_]%s*", "")
  local element, rest = match(bare, "^([%w_ ]-)%s*([%[%(%*].*)$")
  local bytes, shape = -1, nil
  if rest and match(rest, "^%[") then
    bytes = sizeof(object)
    shape = {}
    for length in gmatch(rest, "%[([^%]]*)%]") do
      shape[#shape + 1] = tonumber(length) or bytes / sizeof(element)
    end
  elseif rest ~= "*" and not (rest and match(rest, "^%(&%)%[%d+%]$")) then
    error("bad argument #1 to 'array' (an array of C or a pointer expected, got " .. name .. ")", 0)
  end
  if type(count) == "number" then
    shape = { count }
  elseif count ~= nil then
    shape = count
  elseif not shape then
    error("bad argument #2 to 'array' (how many elements are there? nothing tells of " .. name .. ")", 0)
  end
  local address = tonumber(cast("uintptr_t", cast("const void *", object)))
  return adopt(object, address, element, bytes, qualifiers > 0, shape)
end

return functions
