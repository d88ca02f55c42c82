"""What programs do with lupa, in small."""

from __future__ import annotations

from typing import Any

from rows import Bench, Work, row

TRANSFER = """
local from, to, amount = KEYS[1], KEYS[2], tonumber(ARGV[1])
local balance = tonumber(redis.call('GET', from) or '0')
if balance < amount then
    return {err = 'not enough: ' .. balance}
end
redis.call('SET', from, string.format('%d', balance - amount))
redis.call('INCRBY', to, ARGV[1])
redis.call('LPUSH', 'log', from .. '>' .. to .. ':' .. ARGV[1])
if ARGV[2] == 'back' then
    redis.call('SET', from, string.format('%d', balance))
end
return {redis.call('GET', from), redis.call('GET', to)}
"""


class Store:
    """A store of strings with the commands that the script uses."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {"ann": "100", "bob": "5"}
        self.log: list[str] = []

    def call(self, command: str, key: str, *arguments: str) -> object:
        if command == "GET":
            return self.values.get(key)
        if command == "SET":
            self.values[key] = arguments[0]
            return "OK"
        if command == "INCRBY":
            changed = int(self.values.get(key, "0")) + int(arguments[0])
            self.values[key] = str(changed)
            return changed
        self.log[:] = [*arguments, *self.log[:9]]
        return len(self.log)


@row("users.redis_script")
def redis_script(bench: Bench) -> Work:
    """A server's EVAL: keys and arguments are new tables, and the script calls back."""
    lua, store = bench.lua, Store()
    lua.globals().redis = lua.table(call=store.call)
    script = lua.compile(TRANSFER)

    def run() -> list[str]:
        variables = lua.globals()
        variables.KEYS = lua.table_from(["ann", "bob"])
        variables.ARGV = lua.table_from(["10", "back"])
        reply = script()
        store.values["bob"] = "5"
        return [reply[index] for index in range(1, len(reply) + 1)]

    return Work(run)


@row("users.redis_eval")
def redis_eval(bench: Bench) -> Work:
    """The same as a server without a script cache does it: compiled each time."""
    lua, store = bench.lua, Store()
    lua.globals().redis = lua.table(call=store.call)

    def run() -> list[str]:
        variables = lua.globals()
        variables.KEYS = lua.table_from(["ann", "bob"])
        variables.ARGV = lua.table_from(["10", "back"])
        reply = lua.execute(TRANSFER)
        store.values["bob"] = "5"
        return list(reply.values())

    return Work(run)


TEMPLATE = """
function(frame)
    local out = {'== ', frame.title, ' ==\\n'}
    for number, section in ipairs(frame.sections) do
        out[#out + 1] = number .. '. ' .. section.heading .. ' (' .. table.concat(section.tags, ', ') .. ')\\n'
        for name, value in pairs(section.args) do
            out[#out + 1] = '   ' .. frame.label(name) .. value .. '\\n'
        end
    end
    return table.concat(out):gsub('wolf', "''wolf''"), #frame.sections
end
"""


@row("users.wiki_template")
def wiki_template(bench: Bench) -> Work:
    """A page's arguments go to Lua as nested tables of strings, and a text comes back."""
    page: dict[str, Any] = {
        "title": "Canis lupus",
        "sections": [
            {
                "heading": f"The wolf in chapter {number}",
                "tags": ["animal", "mammal", "canid"],
                "args": {"name": f"wolf {number}"},
            }
            for number in range(20)
        ],
    }
    labels = {"name": "Name: "}
    page["label"] = labels.__getitem__
    render, table_from = bench.eval(TEMPLATE), bench.lua.table_from
    return Work(lambda: render(table_from(page, recursive=True)))


class Entity:
    """Something on the screen of a game."""

    def __init__(self, number: int) -> None:
        self.x, self.y = float(number), 0.0
        self.dx, self.dy = 1.0, 0.5
        self.health = 100

    def damage(self, points: int) -> bool:
        self.health -= points
        if self.health <= 0:
            self.health = 100
        return self.health > 50


ON_UPDATE = """
function(entities, count, dt)
    local hurt = 0
    for i = 0, count - 1 do
        local entity = entities[i]
        entity.x = entity.x + entity.dx * dt
        entity.y = entity.y + entity.dy * dt
        if entity.x > 10 or entity.x < 0 then entity.dx = -entity.dx end
        if i % 4 == 0 and not entity:damage(1) then hurt = hurt + 1 end
    end
    return hurt
end
"""


@row("users.game_frame")
def game_frame(bench: Bench) -> Work:
    """One frame of a game: a script moves eight objects of Python."""
    entities = [Entity(number) for number in range(8)]
    on_update = bench.eval(ON_UPDATE)
    return Work(lambda: on_update(entities, len(entities), 0.0))


@row("users.game_events")
def game_events(bench: Bench) -> Work:
    """Many small events, each handed to whichever Lua function is registered for it."""
    handlers = bench.lua.execute("""
        local state = {x = 0, keys = {}}
        return {
            key_down = function(key) state.keys[key] = true end,
            key_up = function(key) state.keys[key] = nil end,
            mouse = function(x, y) state.x = x + y end,
            tick = function(dt) if state.keys.left then state.x = state.x - dt end return state.x end,
        }
    """)

    def run() -> float:
        handlers.key_down("left")
        handlers.mouse(40, 50)
        handlers.tick(0.5)
        handlers.key_up("left")
        return handlers.tick(0.5)

    return Work(run, 5)


CONFIG = """
local function server(port, ...)
    return {host = 'localhost', port = port, aliases = {...}, tls = port == 443}
end
local config = {
    name = 'den', debug = false, workers = 2 * 4,
    servers = {server(80, 'a', 'b'), server(443, 'c'), server(8080)},
    paths = {log = '/var/log/den', data = '/srv/den', cache = nil},
    limits = {requests = 100, seconds = 2.5, burst = {10, 20, 30}},
}
for i = 1, 10 do config['user' .. i] = {id = i, groups = {'wolves', 'cubs'}} end
return config
"""


def plain(table: Any, table_type: type) -> Any:
    """Dicts and lists for tables."""
    if not isinstance(table, table_type):
        return table
    length = len(table)
    if length:
        return [plain(table[index], table_type) for index in range(1, length + 1)]
    return {key: plain(value, table_type) for key, value in table.items()}


@row("users.config_file")
def config_file(bench: Bench) -> Work:
    """A configuration written in Lua becomes dicts and lists."""
    lua = bench.lua
    table_type = type(lua.table())

    def run() -> tuple[int, int]:
        config = plain(lua.execute(CONFIG), table_type)
        return len(config), config["servers"][1]["port"]

    return Work(run)


@row("users.rules")
def rules(bench: Bench) -> Work:
    """A user's rule in Lua picks among records of Python; an operation is a record."""
    records = [{"age": number % 80, "city": ("Rome", "Oslo")[number % 2], "tags": []} for number in range(200)]
    rule = bench.eval("function(r) return r.age >= 18 and r.city == 'Rome' end")
    return Work(lambda: len([record for record in records if rule(record)]), len(records))


@row("users.text_filter")
def text_filter(bench: Bench) -> Work:
    """Lua's gsub asks Python for each word; an operation is a word."""
    words = {"wolf": "lupa", "forest": "silva"}
    text = "the wolf and the forest, the forest and the wolf " * 20
    translate = bench.eval("function(text, f) return (text:gsub('%a+', python.as_function(f))) end")
    return Work(lambda: len(translate(text, words.get)), 200)


@row("users.scheduler")
def scheduler(bench: Bench) -> Work:
    """Python drives tasks of Lua in turn, as a game or a simulation does; an operation is a step."""
    task = bench.eval("function(rest) while rest > 0 do rest = rest - coroutine.yield('sleep', rest) end end")

    def run() -> int:
        tasks = [task.coroutine(10) for _ in range(10)]
        for one in tasks:
            one.send(None)
        steps = 0
        while tasks:
            for one in list(tasks):
                steps += 1
                try:
                    one.send(1)
                except StopIteration:
                    tasks.remove(one)
        return steps

    return Work(run, 100)


@row("users.json_like")
def json_like(bench: Bench) -> Work:
    """A document of Python goes to Lua, is changed there, and comes back as dicts and lists."""
    document = {"items": [{"sku": f"s{i}", "price": i + 0.5, "count": i} for i in range(20)], "customer": {"id": 7}}
    change = bench.eval("""function(document)
        local total = 0
        for _, item in ipairs(document.items) do total = total + item.price * item.count end
        document.total = total
        return document
    end""")
    lua = bench.lua
    table_type = type(lua.table())
    return Work(lambda: plain(change(lua.table_from(document, recursive=True)), table_type)["total"])
