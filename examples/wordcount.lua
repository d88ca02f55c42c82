-- Counts the words of texts and writes a report, with the help of Penlight.

local List = require "pl.List"
local OrderedMap = require "pl.OrderedMap"
local pretty = require "pl.pretty"
local seq = require "pl.seq"
local stringx = require "pl.stringx"
local tablex = require "pl.tablex"
local template = require "pl.template"

local REPORT = [[
$(title)
$(("="):rep(#title))

$(texts) texts, $(lines) lines, $(#words) words, $(distinct) of them distinct

# for place, entry in ipairs(top) do
$(rjust(place, 3)). $(ljust(entry.word, 12)) $(rjust(entry.count, 6)) $(bar(entry.count))
# end

letters   words
# for length, number in lengths:iter() do
$(rjust(length, 7)) $(rjust(number, 7))
# end
]]

-- The words of a line, in lower case. Letters are those of English.
local function words_of(line)
    return line:lower():gmatch("[a-z]+")
end

-- What comes first in a ranking: the more frequent, then the earlier in the alphabet.
local function before(a, b)
    if a.count ~= b.count then
        return a.count > b.count
    end
    return a.word < b.word
end

-- How many words there are of each length, shortest first.
local function by_length(words)
    local lengths = OrderedMap()
    for length, number in pairs(seq.count_map(words:map(string.len))) do
        lengths:set(length, number)
    end
    return lengths:sort()
end

local function report(title, count)
    local most = count.ranking[1].count
    local text, problem = template.substitute(REPORT, {
        _parent = _G,
        title = title,
        texts = count.texts,
        lines = count.lines,
        words = count.words,
        distinct = #count.ranking,
        top = count.ranking:slice(1, 10),
        lengths = by_length(count.words),
        ljust = stringx.ljust,
        rjust = function(value, width) return stringx.rjust(tostring(value), width) end,
        bar = function(number) return ("*"):rep(math.floor(number / most * 40 + 0.5)) end,
    })
    return (assert(text, problem))
end

-- Takes an iterable of Python, of pairs of a name and a text.
return function(title, items)
    local words, lines, texts = List(), 0, 0
    for _, text in python.iterex(items) do
        texts = texts + 1
        for line in stringx.lines(text) do
            lines = lines + 1
            words:extend(List(words_of(line)))
        end
    end
    local counts = tablex.copy(seq.count_map(words))
    local ranking = List(tablex.pairmap(function(word, count)
        return { word = word, count = count }
    end, counts)):sort(before)

    -- What Penlight has written, it can read.
    local copy = assert(pretty.read(pretty.write(counts)))
    assert(tablex.deepcompare(copy, counts), "the counts were read in other than written")

    local count = { texts = texts, lines = lines, words = words, ranking = ranking }
    return counts, #words, ranking, report(title, count)
end
