-- `print` and `io.write` that call a Python function, which is the argument.
local write = ...
local tostring, select, type, pcall, error = tostring, select, type, pcall, error
local concat = table and table.concat
local gsub, format, byte = string and string.gsub, string and string.format, string and string.byte

local function escaped(character)
  return format("\\x%02x", byte(character))
end

local function out(text)
  -- Bytes that are no text would be an error in Python.
  if not pcall(write, text) then
    write(gsub and (gsub(text, "[\128-\255]", escaped)) or text)
  end
end

if print then
  function print(...)
    local text = ""
    for index = 1, select("#", ...) do
      local part = tostring((select(index, ...)))
      if type(part) ~= "string" then
        error("'tostring' must return a string to 'print'", 2)
      end
      text = index == 1 and part or concat and concat({text, part}, "\t") or text .. "\t" .. part
    end
    out(text .. "\n")
  end
end

if io and io.write and io.output then
  local original, output, stdout = io.write, io.output, io.stdout

  function io.write(...)
    if output() ~= stdout then
      return original(...)
    end
    for index = 1, select("#", ...) do
      local part = select(index, ...)
      if type(part) ~= "string" and type(part) ~= "number" then
        local text = "bad argument #" .. index .. " to 'write' (string expected, got " .. type(part) .. ")"
        error(text, 2)
      end
      out(tostring(part))
    end
    return stdout
  end
end
