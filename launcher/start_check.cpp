#include <chorale/launcher/start_check.hpp>

#include <span>

#include <chorale/core/base/build_id.hpp>
#include <chorale/train/agreement.hpp>

namespace chorale {

void check_start(Communicator& comm, const std::string& command, const OptionTable& table) {
  Facts facts = {{"version", CHORALE_VERSION}, {"build", build_id()}, {"command", command}};
  for (const Option& option : table.all()) {
    // Who starts the ranks, and how many, is the launcher's; a thread's name for it need not be the outer one's.
    if (option.key == "ranks" || option.key == "launch") continue;
    facts.emplace_back(option.key, option.text());
  }
  check_agreement(comm, facts);
}

std::string text_of_rank_0(Communicator& comm, const std::string& mine, Label label) {
  const auto bytes = broadcast_bytes(comm, std::as_bytes(std::span(mine)), 0, label);
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

}  // namespace chorale
