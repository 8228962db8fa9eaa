-- SPDX-License-Identifier: Apache-2.0
-- The module that a graph file requires. It runs inside the closed Lua of the graph process; `host` is what
-- lua/load/child_host.h gives it. What it makes is text (JSON) of nodes, parameters and targets.
local host = ...
local env, kinds, names, nodes = host.env, host.kinds, host.names, host.nodes
local fault, mistake, entry, set, kind = host.fault, host.mistake, host.entry, host.set, host.kind
local make, get = host.make, host.get  -- objects: make(kind, ...), get(object, i) is the i-th value
local pairs, tostring = env.pairs, env.tostring
local concat, sort = table.concat, env.table.sort

local MAX_NODES, MAX_POINTS = 100000, 10000

local tm = {}

local function quote(text)
  return host.json(text)
end

-- "did you mean ...?" for a name that is not in the table, or what there is.
local function suggest(name, known, before, after)
  local near = type(name) == "string" and host.nearest(name, known)
  if near then return "did you mean " .. (before or "") .. near .. (after or "") .. "?" end
  local all = {}
  for known_name in pairs(known) do
    if type(known_name) == "string" then all[#all + 1] = (before or "") .. known_name .. (after or "") end
  end
  return #all > 0 and #all <= 16 and "there is: " .. concat(all, ", ") or nil
end

local function named(name, f)
  names[f] = name
  return f
end

-- A function of the module as graph files see it.
local function public(name, f)
  return named(name, entry(f))
end

local function check_table(args, constructor)
  if kind(args) == "plain" then return end
  local word = constructor:gsub("^tm%.", "")
  fault("TM0113", word, "write: " .. constructor .. " { ... }",
        constructor .. " takes one table in braces, not " .. (args == nil and "nothing" or "a " .. type(args)))
end

local function check_names(args, known, constructor)
  for name in pairs(args) do
    if not known[name] then
      fault("TM0118", tostring(name), suggest(name, known), constructor .. " has no option '" .. tostring(name) .. "'")
    end
  end
end

-- References -----------------------------------------------------------------------------------------------------
-- A reference is {node id, port, select}; what the node is stands in `made`.

local made = {}      -- node id -> its row of the catalogue
local removed = {}   -- last node of a curate -> bundle of what its steps removed
local methods = {}
local ref = kinds.ref

local function new_ref(id, out, select)
  return make("ref", id, out, select)
end

-- What a mistake stands for that evaluation goes on after: what it is linked to hears of nothing else.
local wrong = new_ref(-1, "")
made[-1] = { name = "?", ports = {} }

local function is_wrong(value)
  return kind(value) == "ref" and get(value, 1) == -1
end

local function label(r)
  local out = get(r, 2)
  return made[get(r, 1)].name .. (out ~= "" and "." .. out or "")
end

-- Give a reference a selector: members are JSON text.
local function selected(r, method, members)
  if kind(r) ~= "ref" then
    fault("TM0119", method, "write a colon: node:" .. method .. " ...", "'" .. method .. "' is a method of a node")
  end
  if is_wrong(r) then return r end
  if get(r, 3) then fault("TM0119", method, nil, label(r) .. " has been narrowed by a selector already") end
  return new_ref(get(r, 1), get(r, 2), members and "{" .. members .. "}")
end

local function check_count(value, method, what)
  if math.type(value) == "float" and value == math.floor(value) then value = math.tointeger(value) end
  if math.type(value) ~= "integer" or value < 1 then
    fault("TM0119", method, nil,
          ":" .. method .. " takes " .. what .. ", a whole number from 1, not " .. tostring(value))
  end
  return value
end

function methods.last(r) return selected(r, "last") end
function methods.latest(r) return selected(r, "latest", '"kind":"latest"') end

function methods.best(r, metric)
  if kind(r) == "ref" and type(metric) ~= "string" then
    fault("TM0119", "best", 'write: node:best "valid.loss"', ":best takes the name of a metric")
  end
  return selected(r, "best", '"kind":"best","metric":' .. quote(metric or ""))
end

function methods.each(r, options)
  local every = ""
  if kind(r) == "ref" then
    options = options or {}
    check_table(options, ":each")
    check_names(options, { every = true }, ":each")
    if options.every ~= nil then
      every = ',"every":' .. check_count(options.every, "each", "every = a number of steps")
    end
  end
  return selected(r, "each", '"kind":"each"' .. every)
end

function methods.at(r, step)
  step = kind(r) == "ref" and check_count(step, "at", "a step")
  return selected(r, "at", '"kind":"at","at":' .. tostring(step))
end

function methods.take(r, count)
  count = kind(r) == "ref" and check_count(count, "take", "a count")
  return selected(r, "take", '"kind":"last","take":' .. tostring(count))
end

for name, method in pairs(methods) do methods[name] = public(":" .. name, method) end

-- The port that a longer word begins with: .valid for "validation".
local function starts_with_port(key, ports)
  for port in pairs(ports) do
    if #port > 2 and key:sub(1, #port) == port then return port end
  end
end

local function no_port(r, key)
  local all, listed, id = {}, {}, get(r, 1)
  local gives = (made[id].types or {})[get(r, 2)]
  for port in pairs(made[id].ports) do all[port] = port ~= "" and "." .. port or nil end
  if removed[id] then all.removed = ".removed" end
  for _, shown in pairs(all) do listed[#listed + 1] = shown end
  local alone = gives == nil and #listed == 0
  for method in pairs(methods) do
    if gives == "model" or alone or method == "take" and gives ~= nil then
      all[method] = ":" .. method
      listed[#listed + 1] = ":" .. method
    end
  end
  local near = type(key) == "string" and (starts_with_port(key, made[id].ports) or host.nearest(key, all))
  mistake("TM0106", tostring(key), near and "did you mean " .. all[near] .. "?" or "there is: " .. concat(listed, ", "),
          label(r) .. " has no port '" .. tostring(key) .. "'")
  return wrong
end

ref.__index = entry(function(r, key)
  local id, out = get(r, 1), get(r, 2)
  if out == "" and not get(r, 3) then
    if key == "removed" and removed[id] then return removed[id] end
    if key ~= "" and made[id].ports[key] then return new_ref(id, key) end
  end
  if methods[key] then return methods[key] end
  if type(key) == "string" and (key:find(".", 1, true) or made[id].metrics) and out == "" then
    return make("metric", label(r) .. "." .. key)
  end
  return is_wrong(r) and r or no_port(r, key)
end)
ref.__newindex = entry(function(r, key)
  local row = made[get(r, 1)]
  fault("TM0106", tostring(key), "give options in the braces of " .. (row.stage and "" or "tm.") .. row.name .. " { ... }",
        "a node cannot be changed")
end)
ref.__eq = function(a, b)
  return kind(a) == kind(b) and get(a, 1) == get(b, 1) and get(a, 2) == get(b, 2) and get(a, 3) == get(b, 3)
end
ref.__tostring = function(r) return "node " .. get(r, 1) .. " (" .. label(r) .. ")" end
ref.__pairs = entry(function(r) fault("TM0106", nil, nil, label(r) .. " is a node: there is nothing in it to walk") end)

-- Metrics have no value here; every use of one says where it belongs.
local metric = kinds.metric
metric.__index = entry(function(m, key) return make("metric", get(m, 1) .. "." .. tostring(key)) end)
metric.__tostring = function(m) return "metric " .. get(m, 1) end

local function no_value(a, b)
  local object = (kind(a) == "metric" or kind(a) == "ref") and a or b
  local is_metric = kind(object) == "metric"
  local name = is_metric and get(object, 1) or label(object)
  local rule = is_metric and name:match("[^.]*%.(.*)") or "exam.task.metric"
  fault("TM0111", is_metric and rule:match("[%w_]*$") or name:match("^[%w_]*"),
        tm.gate and 'let the engine decide: tm.gate { node, on = ..., require = "' .. rule .. ' > ..." }' or
        'metrics are known once the graph runs; choose by one with node:best "' .. rule .. '"',
        (is_metric and "the metric " or "the node ") .. name ..
        " has no value while the graph is described, so it cannot be compared or computed with")
end

for _, event in ipairs { "__lt", "__le", "__add", "__sub", "__mul", "__div", "__idiv", "__mod", "__pow", "__unm",
                         "__concat", "__len" } do
  metric[event] = entry(no_value)
  ref[event] = entry(no_value)
end
metric.__eq = entry(no_value)

-- Nodes, steps, values -------------------------------------------------------------------------------------------

local file_text, file_name  -- the last file name, quoted

local function place()
  local file, line = host.site()
  if file ~= file_name then file_name, file_text = file, quote(file) end
  return file_text, line
end

-- Append a node; `args` and `extra` are JSON members. A stage of the graph's own says in `row.stage` what runs it.
local function add_node(row, file, line, args, extra)
  local id = #nodes
  if id >= MAX_NODES then
    fault("TM0124", row.name, "look for a loop that makes too many",
          "the graph has more than " .. MAX_NODES .. " nodes")
  end
  nodes[id + 1] = '{"id":' .. id .. ',"stage":"' .. (row.stage or row.name) .. '","file":' .. file .. ',"line":' .. line ..
    ',"args":{' .. args .. "}" .. extra .. "}"
  made[id] = row
  return id
end

local function stage_constructor(row)
  local name = "tm." .. row.name
  return public(name, function(args)
    check_table(args, name)
    local text, extra = host.args(name, args)
    local file, line = place()
    if row.step and rawget(args, 1) == nil then
      return make("step", name, row, text, extra, file, line)
    end
    return new_ref(add_node(row, file, line, text, extra), "")
  end)
end

local function value_constructor(row)
  local name = "tm." .. row.name
  return public(name, function(args)
    check_table(args, name)
    local text, extra = host.args(name, args)
    local file, line = place()
    if extra ~= "" then text = text .. (text == "" and extra:sub(2) or extra) end
    local place_text = ',"file":' .. file .. ',"line":' .. line
    return make("text", '{"$value":"' .. row.name .. '"' .. place_text .. ',"args":{' .. text .. "}}")
  end)
end

kinds.step.__index = entry(function(step, key)
  local name = get(step, 1)
  fault("TM0110", tostring(key), "put it inside tm.curate { source, " .. name .. " {} }",
        name .. " {} without an input is a step: it has no ports")
end)
kinds.text.__index = entry(function(_, key)
  fault("TM0106", tostring(key), nil, "a value has no field '" .. tostring(key) .. "'")
end)

for _, row in ipairs(host.catalogue.stages) do
  row.ports = {}
  for _, port in ipairs(row.outputs) do row.ports[port] = true end
  tm[row.name] = stage_constructor(row)
end
for _, row in ipairs(host.catalogue.values or {}) do tm[row.name] = value_constructor(row) end

-- tm.curate { source, step, ... } ----------------------------------------------------------------------------------

local function check_step(step, i)
  if kind(step) == "step" or is_wrong(step) then return end
  local name = type(step) == "function" and names[step]
  if name then
    fault("TM0110", name:gsub("^tm%.", ""), "write: " .. name .. " {}", "value " .. i .. " of tm.curate is " .. name ..
          " itself: a step is made with braces")
  end
  local what = step == nil and "nil" or kind(step) == "ref" and "the node " .. label(step) or
    "a " .. type(step)
  fault("TM0110", "curate", "steps are constructors without an input: tm.curate { source, tm.gopher {} }",
        "value " .. i .. " of tm.curate is " .. what .. ", not a step")
end

local function check_curate(args)
  check_table(args, "tm.curate")
  local n = 0
  for key in pairs(args) do
    if type(key) ~= "number" then
      fault("TM0118", tostring(key), "give options to the steps", "tm.curate has no option '" .. tostring(key) .. "'")
    end
    n = key > n and key or n
  end
  local source = rawget(args, 1)
  if source == nil or kind(source) == "step" then
    fault("TM0113", "curate", "write: tm.curate { source, step, ... }", "tm.curate has no source as its first value")
  end
  if n < 2 then fault("TM0113", "curate", "write: tm.curate { source, step, ... }", "tm.curate has no steps") end
  local steps = {}
  for i = 2, n do
    check_step(rawget(args, i), i)
    if not is_wrong(rawget(args, i)) then steps[#steps + 1] = rawget(args, i) end
  end
  return steps
end

tm.curate = public("tm.curate", function(args)
  local steps = check_curate(args)
  if #steps == 0 then return wrong end
  local input, bundle, last = host.args("tm.curate", { rawget(args, 1) }), {}, #nodes + #steps - 1
  for _, step in ipairs(steps) do
    local row, text, extra = get(step, 2), get(step, 3), get(step, 4)
    text = input .. (text ~= "" and "," .. text or "")
    local id = add_node(row, get(step, 5), get(step, 6), text, extra .. ',"curate":' .. last)
    input = '"1":{"$ref":{"node":' .. id .. ',"out":""}}'
    if row.ports.removed then bundle[#bundle + 1] = '{"$ref":{"node":' .. id .. ',"out":"removed"}}' end
  end
  if #bundle > 0 then removed[last] = make("text", '{"$refs":[' .. concat(bundle, ",") .. "]}") end
  return new_ref(last, "")
end)

-- Parameters -------------------------------------------------------------------------------------------------------

local declared, params = {}, {}  -- name -> declaration; JSON in the order of the file
local n_specs, params_at = 0, nil  -- params_at: the first call of tm.params

local function wrong_value(spec, name, text, why)
  if spec.wrong then spec.wrong(name, text, why) end
  local given = spec.given and "--set " .. name .. "=" .. text or name .. " = " .. text
  local doc = spec.args.doc and " (" .. tostring(spec.args.doc) .. ")" or ""
  fault("TM0109", name, "give " .. name .. doc .. " another value, here or with --set " .. name .. "=...",
        given .. ": " .. why)
end

-- Turn the text of --set into a value of the kind; nil if it is none.
local parse = {
  int = function(text)
    local x = tonumber(text)
    return x and math.tointeger(x)
  end,
  number = function(text)
    local x = tonumber(text)
    return x and x == x and x ~= math.huge and x ~= -math.huge and x or nil
  end,
  string = function(text) return text end,
  path = function(text) return text end,
  choice = function(text) return text end,
  bool = function(text)
    if text == "true" or text == "yes" or text == "on" then return true end
    if text == "false" or text == "no" or text == "off" then return false end
  end,
}

local kind_words = {
  int = "a whole number", number = "a number", string = "text", path = "a path", bool = "true or false",
  choice = "one of its choices", table = "a table",
}

local function is_of_kind(value, wanted)
  if wanted == "int" then return math.type(value) == "integer" end
  if wanted == "number" then return type(value) == "number" end
  if wanted == "bool" then return type(value) == "boolean" end
  if wanted == "table" then return kind(value) == "plain" end
  return type(value) == "string"
end

local function check_choice(spec, name, value, text)
  local choices = {}
  for _, choice in ipairs(spec.args.choices) do choices[choice] = true end
  if choices[value] then return end
  wrong_value(spec, name, text, "it is one of " .. concat(spec.args.choices, ", "))
end

local function check_value(spec, name, value, text)
  local wanted, args = spec.kind, spec.args
  if wanted == "int" and math.type(value) == "float" then value = math.tointeger(value) or value end
  if not is_of_kind(value, wanted) then wrong_value(spec, name, text, "it takes " .. kind_words[wanted]) end
  if args.min ~= nil and value < args.min then wrong_value(spec, name, text, "it is at least " .. args.min) end
  if args.max ~= nil and value > args.max then wrong_value(spec, name, text, "it is at most " .. args.max) end
  if wanted == "choice" then check_choice(spec, name, value, text) end
  return value
end

local spec_options = {
  int = { [1] = true, min = true, max = true, doc = true }, number = { [1] = true, min = true, max = true, doc = true },
  string = { [1] = true, doc = true }, bool = { [1] = true, doc = true }, path = { [1] = true, doc = true },
  choice = { [1] = true, choices = true, doc = true }, table = { [1] = true, doc = true },
}

local function check_spec(wanted, args)
  for _, bound in ipairs { "min", "max" } do
    if args[bound] ~= nil and type(args[bound]) ~= "number" then
      fault("TM0107", bound, nil, "tm." .. wanted .. ": " .. bound .. " is a number")
    end
  end
  if args.doc ~= nil and type(args.doc) ~= "string" then
    fault("TM0107", "doc", nil, "tm." .. wanted .. ": doc is text")
  end
  if wanted ~= "choice" then return end
  local choices, n = args.choices, 0
  if type(choices) == "table" then
    for i, choice in ipairs(choices) do n = type(choice) == "string" and i or 0 end
  end
  if n == 0 then
    fault("TM0107", "choice", 'write: tm.choice { "small", choices = { "small", "large" } }',
          "tm.choice needs its choices, a list of texts")
  end
end

for wanted, known in pairs(spec_options) do
  tm[wanted] = public("tm." .. wanted, function(args)
    check_table(args, "tm." .. wanted)
    check_names(args, known, "tm." .. wanted)
    check_spec(wanted, args)
    n_specs = n_specs + 1
    local _, line = host.site()
    return make("spec", wanted, args, n_specs, line)
  end)
end

local function param_value(spec, name)
  local text, default = host.overrides[name] or host.maybe[name], spec.args[1]
  if text then
    local value = parse[spec.kind](text)
    spec.given = true
    if value == nil then wrong_value(spec, name, text, "it takes " .. kind_words[spec.kind]) end
    return check_value(spec, name, value, text)
  end
  if default == nil then
    fault("TM0109", name, "add: --set " .. name .. "=...",
          "the parameter '" .. name .. "' has no default: it must be given")
  end
  return check_value(spec, name, default, tostring(default))
end

local function declare(name, spec)
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    fault("TM0107", tostring(name), nil, "'" .. tostring(name) .. "' is no name for a parameter: letters, digits and _")
  end
  if kind(spec) ~= "spec" then
    fault("TM0107", name, "write: " .. name .. " = tm.int { 500, min = 1 } (or number, string, bool, choice, path)",
          "tm.params: " .. name .. " is no declaration")
  end
  if get(spec, 1) == "table" then
    fault("TM0107", name, "write the table into the file", "tm.params: " .. name .. " is a table, which --set cannot give")
  end
  if declared[name] then fault("TM0107", name, nil, "the parameter '" .. name .. "' is declared twice") end
  declared[name] = true
  local args = get(spec, 2)
  local value = param_value({ kind = get(spec, 1), args = args }, name)
  params[#params + 1] = { at = get(spec, 3), json = host.json {
    name = name, kind = get(spec, 1), value = value, default = args[1], doc = args.doc, min = args.min, max = args.max,
    choices = args.choices, line = get(spec, 4) } }
  return value
end

tm.params = public("tm.params", function(args)
  check_table(args, "tm.params")
  params_at = params_at or { host.site() }
  local values = {}
  for name, spec in pairs(args) do values[name] = declare(name, spec) end
  return set({}, {
    __index = entry(function(_, key)
      if values[key] ~= nil then return values[key] end
      fault("TM0108", tostring(key), suggest(key, values), "there is no parameter '" .. tostring(key) .. "'")
    end),
    __newindex = entry(function(_, key)
      fault("TM0108", tostring(key), "use a local variable", "parameters cannot be changed in the file")
    end),
    __pairs = function() return env.next, values, nil end,
    __metatable = "params",
  })
end)

-- tm.stage { name = ..., each = function(doc, o, emit) ... end }, or batch ---------------------------------------------

local shapes = { documents = true, chat = true, preference = true }
local stage_arguments = { name = true, takes = true, gives = true, options = true, each = true, batch = true,
                          batch_size = true, doc = true, seconds = true }
local body_text = { each = "each = function(doc, o, emit) ... end", batch = "batch = function(docs, o, emit) ... end" }
local of_every_call = { [1] = true, at = true, store = true, name = true, seed = true }

local function check_shape(args, name)
  if args[name] == nil or shapes[args[name]] then return end
  fault("TM0113", name, suggest(args[name], shapes, '"', '"'),
        "tm.stage: " .. name .. ' is "documents", "chat" or "preference", not ' .. tostring(args[name]))
end

local function check_body(args)
  local form = args.batch ~= nil and "batch" or "each"
  if args.each == nil and args.batch == nil then
    fault("TM0113", "stage", "write: " .. body_text.each .. ", or: " .. body_text.batch,
          "tm.stage takes a function, each or batch, and has neither")
  end
  if args.each ~= nil and args.batch ~= nil then
    fault("TM0113", "batch", "take one away: each gets a record, batch a list of records",
          "tm.stage takes each or batch, not both")
  end
  if type(args[form]) ~= "function" then
    fault("TM0113", form, "write: " .. body_text[form],
          "tm.stage: " .. form .. " is a function, not a " .. type(args[form]))
  end
  local size = args.batch_size
  if size == nil then return end
  if not args.batch then
    fault("TM0113", "batch_size", "write: " .. body_text.batch,
          "tm.stage: batch_size goes with batch, and each gets one record")
  end
  if math.type(size) ~= "integer" or size < 1 or size > 100000 then
    fault("TM0113", "batch_size", "write: batch_size = 64",
          "tm.stage: batch_size is a whole number from 1 to 100000, not " .. tostring(size))
  end
end

local function check_stage(args)
  check_table(args, "tm.stage")
  check_names(args, stage_arguments, "tm.stage")
  if type(args.name) ~= "string" or not args.name:find("^[%a_][%w_]*$") or #args.name > 60 then
    fault("TM0113", args.name == nil and "stage" or "name", 'write: tm.stage { name = "shout", ... }',
          "tm.stage takes a name: letters, digits and _")
  end
  check_shape(args, "takes")
  check_shape(args, "gives")
  check_body(args)
  local options = args.options or {}
  check_table(options, "tm.stage: options")
  for name, spec in pairs(options) do
    if type(name) ~= "string" or kind(spec) ~= "spec" then
      fault("TM0107", tostring(name), "write: options = { " .. (type(name) == "string" and name or "NAME") ..
            " = tm.int { 1 } } (or number, string, bool, choice, path, table)",
            "tm.stage: the option " .. tostring(name) .. " is no declaration")
    end
    if of_every_call[name] and name ~= "seed" then
      fault("TM0107", name, "choose another name", "tm.stage: every stage has an option '" .. name .. "' already")
    end
  end
  return options
end

-- What `tidemill describe` says of the options.
local function declarations(options)
  local all = {}
  for name, spec in pairs(options) do
    local args = get(spec, 2)
    all[name] = { kind = get(spec, 1), default = args[1], doc = args.doc, min = args.min, max = args.max,
                  choices = args.choices }
  end
  local text = host.json(all)
  return text == "[]" and "{}" or text
end

-- The value of a declared option, given or by default.
local function stage_option(constructor, key, spec, given)
  local declaration = { kind = get(spec, 1), args = get(spec, 2) }
  function declaration.wrong(name, text, why)
    local args = declaration.args
    local default = args[1] ~= nil and type(args[1]) ~= "table" and quote(args[1])
    fault("TM0128", name, args.doc and "it is: " .. tostring(args.doc) or
          default and "for example its default: " .. name .. " = " .. default or
          "give " .. name .. " another value", constructor .. ": " .. name .. " = " .. text .. ": " .. why)
  end
  if given == nil then given = declaration.args[1] end
  if given == nil then
    fault("TM0128", constructor, "add: " .. key .. " = ...",
          constructor .. ": the option '" .. key .. "' has no default: it must be given")
  end
  return check_value(declaration, key, given, type(given) == "table" and "{ ... }" or tostring(given))
end

local function stage_values(name, args, options)
  local values, plain = {}, {}
  for key in pairs(args) do
    if not options[key] and not of_every_call[key] then
      local known = { at = true, store = true, name = true, seed = true }
      for option in pairs(options) do known[option] = true end
      fault("TM0118", tostring(key), suggest(key, known), name .. " has no option '" .. tostring(key) .. "'")
    end
    if of_every_call[key] then plain[key] = rawget(args, key) end
  end
  for key, spec in pairs(options) do values[key] = stage_option(name, key, spec, rawget(args, key)) end
  return values, plain
end

local integer = make("spec", "int", { 0 }, 0, 0)

-- A constructor of a stage whose work the graph file brings: `fixed` are the JSON members that all its nodes share.
local function script_constructor(row, options, fixed)
  return public(row.name, function(args)
    check_table(args, row.name)
    local values, plain = stage_values(row.name, args, options)
    local seed = values.seed or stage_option(row.name, "seed", integer, plain.seed)
    if math.type(seed) ~= "integer" then
      fault("TM0128", "seed", "write: seed = 1", row.name .. ": seed is a whole number")
    end
    plain.seed = nil
    local text, extra = host.args(row.name, plain)
    local given = host.json(values)
    local file, line = place()
    text = fixed .. ',"seed":' .. seed .. ',"options":' .. (given == "[]" and "{}" or given) .. (text ~= "" and "," or "") .. text
    if rawget(args, 1) == nil then return make("step", row.name, row, text, extra, file, line) end
    return new_ref(add_node(row, file, line, text, extra), "")
  end)
end

if tm.stage then
  local runs
  for _, row in ipairs(host.catalogue.stages) do runs = row.name == "stage" and row or runs end
  tm.stage = public("tm.stage", function(args)
    local options = check_stage(args)
    local fixed = '"name":' .. quote(args.name) .. ',"takes":"' .. (args.takes or "documents") .. '"'
    if args.gives then fixed = fixed .. ',"gives":"' .. args.gives .. '"' end
    if args.seconds ~= nil then fixed = fixed .. ',"seconds":' .. host.json(args.seconds) end
    if args.doc ~= nil and type(args.doc) ~= "string" then fault("TM0113", "doc", nil, "tm.stage: doc is text") end
    if args.doc then fixed = fixed .. ',"doc":' .. quote(args.doc) end
    if args.batch_size then fixed = fixed .. ',"batch_size":' .. args.batch_size end
    local form = args.batch and "batch" or "each"
    fixed = fixed .. ',"declared":' .. declarations(options) .. ',"' .. form .. '":' .. host.code(args[form], form)
    local row = { name = args.name, stage = "stage", ports = runs.ports, types = runs.types, step = true }
    return script_constructor(row, options, fixed)
  end)
end

-- Secrets, sweeps --------------------------------------------------------------------------------------------------

tm.secret = public("tm.secret", function(name)
  if type(name) ~= "string" or not name:find("^[%a_][%w_]*$") then
    fault("TM0113", "secret", 'write: tm.secret "HUB_TOKEN"', "tm.secret takes the name of a secret")
  end
  return make("text", '{"$secret":' .. quote(name) .. "}")
end)

local function point_text(value)
  local t = math.type(value)
  if t then return host.number(value) end
  if type(value) == "boolean" then return tostring(value) end
  if type(value) == "string" and value:find("^[%w_.+-]+$") then return value end
  fault("TM0113", "sweep", "use numbers, true and false, and short names",
        "tm.sweep: " .. tostring(value) .. " is no value that can stand in a name")
end

local function point_name(point)
  local parts = {}
  for key, value in pairs(point) do
    if type(key) ~= "string" then fault("TM0113", "sweep", "write: { lr = 1e-4 }", "tm.sweep: values of a point have names") end
    parts[#parts + 1] = key .. "=" .. point_text(value)
  end
  return concat(parts, ",")
end

-- Every combination of { a = { 1, 2 }, b = { 3 } }, the last name turning fastest.
local function combinations(values)
  local points = { {} }
  for key, list in pairs(values) do
    if kind(list) ~= "plain" or #list == 0 then
      fault("TM0113", tostring(key), "write: tm.sweep({ lr = { 1e-4, 3e-4 } }, function(v) ... end)",
            "tm.sweep: '" .. tostring(key) .. "' is no list of values")
    end
    if #points * #list > MAX_POINTS then
      fault("TM0124", "sweep", nil, "tm.sweep: there are more than " .. MAX_POINTS .. " combinations")
    end
    local longer = {}
    for _, point in ipairs(points) do
      for _, value in ipairs(list) do
        local copy = {}
        for k, v in pairs(point) do copy[k] = v end
        copy[key] = value
        longer[#longer + 1] = copy
      end
    end
    points = longer
  end
  return points
end

local function strict_point(point)
  return set(point, {
    __index = entry(function(_, key)
      fault("TM0108", tostring(key), suggest(key, point), "the sweep has no value '" .. tostring(key) .. "'")
    end),
    __metatable = "point",
  })
end

tm.sweep = public("tm.sweep", function(values, f)
  check_table(values, "tm.sweep")
  if type(f) ~= "function" then
    fault("TM0113", "sweep", "write: tm.sweep({ lr = { 1e-4, 3e-4 } }, function(v) ... end)",
          "tm.sweep takes values and a function")
  end
  local results = {}
  for _, point in ipairs(#values > 0 and values or combinations(values)) do
    check_table(point, "tm.sweep")
    local name = point_name(point)
    if results[name] ~= nil then
      fault("TM0113", "sweep", "leave one of them out", "tm.sweep: the point " .. name .. " comes twice")
    end
    local copy = {}
    for k, v in pairs(point) do copy[k] = v end
    local result = f(strict_point(copy))
    if kind(result) ~= "ref" and kind(result) ~= "plain" and kind(result) ~= "sweep" then
      fault("TM0113", "sweep", "end the function with: return node", "tm.sweep: the function gave " ..
            (result == nil and "nothing" or "a " .. type(result)) .. " for " .. name)
    end
    results[name] = result
  end
  return set(results, kinds.sweep)
end)

-- tm.best { sweep, by = ... }: a point that is a table has one model in it, and what judges gave for it stands in `on`.

local function type_of(r)
  return (made[get(r, 1)].types or {})[get(r, 2)]
end

local function split_point(name, point)
  local model, judged, n = nil, {}, 0
  for key, inner in pairs(point) do
    local gives = kind(inner) == "ref" and type_of(inner)
    if gives == "model" then
      if model then
        fault("TM0113", "best", "give tm.best a table of the models that compete",
              "tm.best: the point " .. name .. " has several models")
      end
      model = inner
    elseif gives == "metrics" then
      judged[key], n = inner, n + 1
    end
  end
  if not model then
    fault("TM0113", "best", "return the model, or a table with it", "tm.best: the point " .. name .. " has no model")
  end
  local _, only = env.next(judged)
  return model, n == 0 and model or n == 1 and only or judged
end

-- Models by label, and metrics by label.
local function split_trials(trials)
  local models, on = {}, {}
  for key, point in pairs(trials) do
    local name = tostring(key)
    if kind(point) == "ref" then
      models[name], on[name] = point, point
    elseif kind(point) == "plain" then
      models[name], on[name] = split_point(name, point)
    else
      return trials, trials
    end
  end
  return models, on
end

local best = tm.best
tm.best = best and public("tm.best", function(args)
  check_table(args, "tm.best")
  local trials = rawget(args, 1)
  local several = kind(trials) == "plain" or kind(trials) == "sweep"
  if not several then
    fault("TM0113", "best", "write: tm.best { sweep, by = \"valid.loss\" }", "tm.best takes a sweep or a table of models")
  end
  local copy = {}
  for key, value in pairs(args) do copy[key] = value end
  local models, on = split_trials(trials)
  copy[1] = models
  if copy.on == nil then copy.on = on end
  return best(copy)
end)

kinds.sweep.__index = entry(function(trials, key)
  fault("TM0106", tostring(key), suggest(key, trials), "the sweep has no point '" .. tostring(key) .. "'")
end)

-- tm.graph { name = node, ... } --------------------------------------------------------------------------------------

local function name_part(key, in_sweep)
  if type(key) == "number" then return tostring(key) end
  if in_sweep then return key end
  if type(key) ~= "string" or not key:find("^[%a_][%w_-]*$") then
    fault("TM0113", tostring(key), "use letters, digits, _ and -",
          "tm.graph: '" .. tostring(key) .. "' cannot name a node")
  end
  return key
end

local function refuse_target(name, value)
  local k = kind(value)
  local what = names[value] or k == "step" and "the step " .. get(value, 1) .. " {}" or
    k == "text" and "a value or a bundle of ports" or
    k == "metric" and "a metric" or k == "spec" and "a declaration" or k == "graph" and "a graph" or "a " .. type(value)
  fault("TM0113", name:match("[%w_]+$"), k == "step" and "give it its input: " .. get(value, 1) .. " { node, ... }" or
        "name nodes and their ports only", "tm.graph: '" .. name .. "' is " .. what)
end

local function add_targets(list, prefix, joint, value)
  local in_sweep = kind(value) == "sweep"
  for key, inner in pairs(value) do
    local name = prefix .. joint .. name_part(key, in_sweep)
    local k = kind(inner)
    if k == "ref" then
      local select = get(inner, 3)
      list[#list + 1] = "[" .. quote(name) .. ',{"node":' .. get(inner, 1) .. ',"out":' .. quote(get(inner, 2)) ..
        (select and ',"select":' .. select or "") .. "}]"
    elseif k == "plain" or k == "sweep" then
      add_targets(list, name, k == "sweep" and "/" or ".", inner)
    else
      refuse_target(name, inner)
    end
  end
end

tm.graph = public("tm.graph", function(args)
  check_table(args, "tm.graph")
  local list = {}
  add_targets(list, "", "", args)
  if #list == 0 then
    fault("TM0113", "graph", "write: return tm.graph { name = node, ... }", "tm.graph names no node")
  end
  return make("graph", "[" .. concat(list, ",") .. "]")
end)

-- The module, and what is done with what the file returns ------------------------------------------------------------

local module = set({}, {
  __index = entry(function(_, key)
    local value = tm[key]
    if value ~= nil then return value end
    mistake("TM0105", tostring(key), suggest(key, tm, "tm."), "there is no tm." .. tostring(key))
    return entry(function() return wrong end)
  end),
  __newindex = entry(function(_, key)
    fault("TM0105", tostring(key), "use a local variable", "nothing can be added to tm")
  end),
  __pairs = function() return env.next, tm, nil end,
  __metatable = "tidemill",
})

local function check_overrides()
  for name in pairs(host.overrides) do
    if not declared[name] then
      if params_at then host.move(params_at[1], params_at[2]) end
      fault("TM0108", "params", suggest(name, declared, "--set ", "=..."), "there is no parameter '" .. name .. "'")
    end
  end
end

local function finish(result)
  if kind(result) ~= "graph" then
    local what = result == nil and "nothing" or kind(result) == "ref" and "a node" or "a " .. type(result)
    fault("TM0113", "return", "end the file with: return tm.graph { name = node, ... }",
          "the file returned " .. what .. ", not a graph")
  end
  check_overrides()
  sort(params, function(a, b) return a.at < b.at end)
  local list = {}
  for i, param in ipairs(params) do list[i] = param.json end
  return "[" .. concat(list, ",") .. "]", get(result, 1)
end

return module, finish
