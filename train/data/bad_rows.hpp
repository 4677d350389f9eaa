// What is said of rows that data.bad_rows leaves out: never nothing.
#pragma once
#include <chorale/core/base/log.hpp>
#include <chorale/core/data/infer_schema.hpp>

namespace chorale {

/// One warning with their number and the places of the first few; nothing when there are none.
void warn_of_bad_rows(const TablePlan& plan, const DataOptions& data, Log& log);

}  // namespace chorale
