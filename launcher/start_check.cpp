#include <chorale/launcher/start_check.hpp>

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

}  // namespace chorale
