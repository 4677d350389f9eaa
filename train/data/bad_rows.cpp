#include <chorale/train/data/bad_rows.hpp>

#include <fmt/format.h>

namespace chorale {

void warn_of_bad_rows(const TablePlan& plan, const DataOptions& data, Log& log) {
  if (plan.bad_rows == 0) return;
  std::string text = fmt::format("{} bad rows were left out (data.bad_rows = {})", plan.bad_rows, data.bad_rows);
  for (const std::string& example : plan.bad_examples) text += "\n  " + example;
  log.warning(text);
}

}  // namespace chorale
