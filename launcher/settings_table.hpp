// All effective settings of a run, for the start-up table.
#pragma once
#include <string>

#include <chorale/core/base/option.hpp>

namespace chorale {

/// One row a section, wrapped: "  optimizer        name = adam, lr = 0.001, ...". Keys whose value is empty are left out.
std::string settings_table(const OptionTable& table);

}  // namespace chorale
