// chorale status
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/printable.hpp>
#include <chorale/launcher/run_status.hpp>

namespace chorale {

namespace {
/// One that cannot be read does not hide the others.
std::string seed_text(const std::filesystem::path& seed) {
  try {
    return status_text(run_status(seed));
  } catch (const Error& error) {
    return std::string("state       unknown: ") + error.what() + "\n";
  }
}
}  // namespace

int run_run_status(std::span<const std::string> arguments) {
  bool json = false;
  OptionTable table;
  table.add("json", json, "One object.");
  const std::vector<std::string> rest = read_flags(arguments, table, 1);
  if (rest.empty()) throw UsageError("status needs a run: chorale status RUN");
  const auto seeds = array_runs(rest[0]);
  if (seeds.empty())
    return std::fputs((json ? status_json(run_status(rest[0])) : printable(status_text(run_status(rest[0])))).c_str(), stdout), 0;
  if (json) throw UsageError("--json is for one run: chorale status " + seeds.front().string() + " --json");
  for (const auto& seed : seeds) std::printf("%s\n%s\n", printable(seed.filename().string()).c_str(), printable(seed_text(seed)).c_str());
  return 0;
}

std::string status_options() { return JsonTable().help(); }

}  // namespace chorale
