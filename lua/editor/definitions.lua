---@meta tidemill
-- SPDX-License-Identifier: Apache-2.0
-- What a graph file can say, for editors: completion, hover and warnings of types. Made from the stages of the program
-- that wrote it; after an update `tidemill init --definitions` writes it anew. It is never run.

---@class tidemill
local tm = {}

---Graph files and the files beside them: `require "tidemill"`, `require "lib.recipe"`.
---@param name string
---@return unknown
function require(name) end

-- What flows between stages ------------------------------------------------------------------------------------------

---A node of the graph, or one of its outputs.
---@class tidemill.node

---A constructor without its main input, to be put into `tm.curate`.
---@class tidemill.step

---Folders that come one after the other: a model's snapshots.
---@class tidemill.snapshots : tidemill.node

---Chunks of records.
---@class tidemill.records : tidemill.node

---@class tidemill.documents
local documents = {}

---The first `n` records.
---@param n integer
---@return tidemill.documents
function documents:take(n) end

---@class tidemill.model
local model = {}

---The last snapshot (so is the node alone).
---@return tidemill.model
function model:last() end

---Whatever is newest when it is asked for.
---@return tidemill.model
function model:latest() end

---The snapshot with the best value of a metric: `base:best "valid.loss"`.
---@param metric string
---@return tidemill.model
function model:best(metric) end

---Every snapshot, or every so many steps, while training goes on: `base:each { every = 500 }`.
---@param options { every?: integer }
---@return tidemill.model
function model:each(options) end

---The snapshot of one step: `base:at(300)`.
---@param step integer
---@return tidemill.model
function model:at(step) end

---What a node needs of the machine. It changes no result.
---@class (exact) tidemill.at
---@field cores? integer
---how much it will take, "8 GB"
---@field memory? string|number
---how often it is tried again when it fails
---@field retries? integer
---seconds
---@field timeout? number

-- Curation -----------------------------------------------------------------------------------------------------------

---What a chain of steps gives.
---@class tidemill.node.curate : tidemill.documents
---what the steps took out, with the reason in `meta.removed`
---@field removed tidemill.documents

---Put a source through steps, one after the other.
---
---```lua
---local clean = tm.curate { pages, tm.fix_unicode {}, tm.gopher {}, tm.exact_dedup {} }
---```
---@param args (tidemill.documents|tidemill.step|string)[]
---@return tidemill.node.curate
function tm.curate(args) end

-- Stages of the graph's own ------------------------------------------------------------------------------------------

---One message of a conversation.
---@class tidemill.message
---@field role "system"|"user"|"assistant"|"tool"
---@field content string

---The record that a function of `tm.stage` is given. Which fields it has depends on what the stage takes.
---@class tidemill.record
---@field id string
---@field source string
---@field meta table<string, any>
---of a document
---@field text string
---of a conversation (`takes = "chat"`)
---@field messages tidemill.message[]
---of a conversation, if there are any
---@field tools any
---of a preference (`takes = "preference"`)
---@field prompt tidemill.message[]
---of a preference
---@field chosen tidemill.message[]
---of a preference
---@field rejected tidemill.message[]

---A record that is emitted: a text, or messages, or prompt, chosen and rejected.
---@class tidemill.emitted
---@field id? string
---@field source? string
---@field meta? table<string, any>
---@field text? string
---@field messages? tidemill.message[]
---@field tools? any
---@field prompt? string|tidemill.message[]
---@field chosen? string|tidemill.message[]
---@field rejected? string|tidemill.message[]

---Its last parameter is given what is new and the record, or records, that this comes from. Of those that nothing comes
---from a text that it returns says why they go, or a table from records to texts.
---@alias tidemill.reasons string|table<tidemill.record, string>|nil
---@alias tidemill.batch fun(docs: tidemill.record[], o: table<string, any>, emit: tidemill.emit_of): tidemill.reasons
---@alias tidemill.emit_of fun(record: tidemill.emitted|tidemill.record, from?: tidemill.record|tidemill.record[])

---@class (exact) tidemill.args.stage
---what it is called: letters, digits and `_`
---@field name string
---what it does, for `tidemill describe GRAPH NAME`
---@field doc? string
---what it is given (default "documents")
---@field takes? "documents"|"chat"|"preference"
---what it emits (default: what it takes)
---@field gives? "documents"|"chat"|"preference"
---its options: `{ suffix = tm.string { "!" } }`
---@field options? table<string, any>
---seconds of processor time that one chunk may take (default 20)
---@field seconds? number
---is called once per record; a text that it returns, having emitted nothing, says why the record goes
---@field each? fun(doc: tidemill.record, o: table<string, any>, emit: fun(record: tidemill.emitted|tidemill.record)): string?
---instead of `each`: is called with a list of records; what is emitted says of which it is, `emit({ ... }, doc)`
---@field batch? tidemill.batch
---how many records `batch` gets at most (default 64)
---@field batch_size? integer

---A use of a stage that the graph file makes; without a main input it is a step.
---@class tidemill.node.stage : tidemill.documents, tidemill.step
---records that nothing was emitted for, the reason in `meta.removed`
---@field removed tidemill.documents

---Make a stage of your own: a function in Lua, called once per record or batch.
---
---```lua
---local shout = tm.stage { name = "shout", each = function(doc, o, emit) emit { text = doc.text:upper() } end }
---local loud  = shout { docs }
---```
---@param args tidemill.args.stage
---@return fun(args: table<any, any>): tidemill.node.stage
function tm.stage(args) end

-- Parameters ---------------------------------------------------------------------------------------------------------

---Declare what `--set NAME=VALUE` can change, and get the values.
---
---```lua
---local p = tm.params { steps = tm.int { 500, min = 1, doc = "updates" } }
---```
---@generic T : table
---@param declared T
---@return T
function tm.params(declared) end

---@class (exact) tidemill.args.int
---the default; without one it must be given
---@field [1]? integer
---@field min? integer
---@field max? integer
---@field doc? string

---A whole number, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.int
---@return integer
function tm.int(args) end

---@class (exact) tidemill.args.number
---the default; without one it must be given
---@field [1]? number
---@field min? number
---@field max? number
---@field doc? string

---A number, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.number
---@return number
function tm.number(args) end

---@class (exact) tidemill.args.string
---the default; without one it must be given
---@field [1]? string
---@field doc? string

---Text, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.string
---@return string
function tm.string(args) end

---A path relative to the folder of the graph file, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.string
---@return string
function tm.path(args) end

---@class (exact) tidemill.args.bool
---the default; without one it must be given
---@field [1]? boolean
---@field doc? string

---True or false, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.bool
---@return boolean
function tm.bool(args) end

---@class (exact) tidemill.args.choice
---the default; without one it must be given
---@field [1]? string
---@field choices string[]
---@field doc? string

---One of several texts, for `tm.params` and the options of `tm.stage`.
---@param args tidemill.args.choice
---@return string
function tm.choice(args) end

---@class (exact) tidemill.args.table
---the default; without one it must be given
---@field [1]? table
---@field doc? string

---A table, for the options of `tm.stage` only.
---@param args tidemill.args.table
---@return table
function tm.table(args) end

---A secret that is looked up where the work is done: in no key, journal or report.
---@param name string
---@return tidemill.secret
function tm.secret(name) end

---@class tidemill.secret

-- Sweeps, and the end of the file ------------------------------------------------------------------------------------

---Call a function for every combination of values, and name what it returns: `trials/lr=1e-4,rank=8`.
---
---```lua
---local trials = tm.sweep({ lr = { 1e-4, 3e-4 } }, function(v)
---  return tm.pretrain { model, data = docs.train, lr = v.lr }
---end)
---```
---@generic T
---@param values table
---@param f fun(v: table<string, any>): T
---@return table<string, T>
function tm.sweep(values, f) end

---@class tidemill.graph

---What the graph file returns: nodes by the names that people use on the command line.
---@param nodes table<string|integer, any>
---@return tidemill.graph
function tm.graph(nodes) end

