// Before step 0: all ranks must have built the same model from the same recipe with the same program.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include <chorale/comm/communicator.hpp>

namespace chorale {

using Facts = std::vector<std::pair<std::string, std::string>>;

/// Collective. Throws UsageError on every rank that names the first difference, both ranks and both values.
void check_agreement(Communicator& comm, const Facts& mine);

/// Collective. Root's text on every rank.
std::string text_from(Communicator& comm, int root, const std::string& mine, Label label);

}  // namespace chorale
