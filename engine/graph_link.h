// SPDX-License-Identifier: Apache-2.0
// Where links lead: through aliases, and to the inputs of conversions that the graph puts in by itself.
//
//   alias        base.tokenizer of tm.pretrain is no result of it but the tokenizer that it was given; that
//                of tm.sft is the one of its model, and so on to the stage that has a real one.
//   conversion   an input of type `examples` with via = "tokenize_chat" takes documents too: that stage is
//                put before it, and what its main input wants may be converted in turn.
#pragma once

#include "engine/graph.h"

// Follows `link` (its `from`, `out` and selector) from an alias to the output that it stands for. False: an
// input on the way is not connected, or its model has no such output; `link` then says where it ended.
bool tm_link_follow(tm_link *link);

// The stage to put before an input so that it takes what `have` gives, or NULL: none is needed or fits.
const tm_stage *tm_link_conversion(const tm_port *row, const tm_port *have);

// What input `port` of a conversion that stands before an input of `consumer` is to read: the consumer's own
// input of that name; else its first one of that type; else the output of that name and type of the
// first of its inputs' makers that has one (its model's tokenizer). False if there is none.
bool tm_link_borrow(const tm_node *consumer, const tm_port *port, tm_link *link);
