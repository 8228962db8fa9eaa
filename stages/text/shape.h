// SPDX-License-Identifier: Apache-2.0
// What the texts of documents are, as known at plan time: plain text, markup, conversations or preferences.
//
// Attribute `markup` ("html") and attribute `shape`: absent for text, "chat" or "preference" for records. The
// text of a record is JSON without white space and with keys in this order; a message is
// {"role":ROLE,"content":TEXT}, and may have further fields behind these, in the order of the source:
//   chat        {"messages":[...]}, and "tools":[...] behind it if there are any
//   preference  {"prompt":[...],"chosen":[...],"rejected":[...]}
// Attributes pass through stages that give documents for documents.
#pragma once

#include "engine/stage.h"

// Each refuses at plan time, with a way out, what input `input` (an index) must not be.
tm_status tm_shape_text(tm_check *check, int input, tm_error *err);   // records: markup is allowed
tm_status tm_shape_plain(tm_check *check, int input, tm_error *err);  // records and markup
// Documents of another shape than `shape`.
tm_status tm_shape_is(tm_check *check, int input, const char *shape, tm_error *err);
