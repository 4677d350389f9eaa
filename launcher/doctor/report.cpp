#include <chorale/launcher/doctor/report.hpp>

#include <fmt/format.h>

#include <algorithm>

#include <chorale/core/base/build_id.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

const char* name_of(Finding::State state) {
  switch (state) {
    case Finding::State::ok:
      return "ok";
    case Finding::State::warning:
      return "warning";
    case Finding::State::failed:
      return "failed";
    case Finding::State::skipped:
      return "skipped";
  }
  return "?";
}

namespace {
std::int64_t count(const std::vector<Finding>& findings, Finding::State state) {
  return std::count_if(findings.begin(), findings.end(), [&](const Finding& f) { return f.state == state; });
}

/// Lines after the first stand under it.
std::string indented(const std::string& text) {
  std::string out;
  for (const char c : printable(text)) out += c == '\n' ? std::string("\n") + std::string(31, ' ') : std::string(1, c);
  return out;
}
}  // namespace

bool DoctorReport::is_ok() const { return count(findings, Finding::State::failed) == 0; }

int DoctorReport::code() const {
  const auto first = std::find_if(findings.begin(), findings.end(), [](const Finding& f) { return f.state == Finding::State::failed; });
  return first == findings.end() ? 0 : static_cast<int>(first->code);
}

std::string DoctorReport::text() const {
  std::string out = fmt::format("chorale {}, {} {} by {}\n", CHORALE_VERSION, ranks, ranks == 1 ? "rank" : "ranks", launcher);
  for (const Finding& f : findings) {
    out += fmt::format("  {:<8} {:<19} {}\n", name_of(f.state), f.name, indented(f.found));
    if (!f.remedy.empty()) out += fmt::format("  {:<8} {:<19} -> {}\n", "", "", indented(f.remedy));
  }
  const std::int64_t warnings = count(findings, Finding::State::warning);
  return out + fmt::format("{} ok, {} {}, {} failed, {} skipped in {:.1f} s\n", count(findings, Finding::State::ok), warnings,
                           warnings == 1 ? "warning" : "warnings", count(findings, Finding::State::failed),
                           count(findings, Finding::State::skipped), seconds);
}

std::string DoctorReport::json() const {
  nlohmann::ordered_json checks = nlohmann::json::array();
  for (const Finding& f : findings) {
    nlohmann::ordered_json check = {{"name", f.name}, {"state", name_of(f.state)}, {"found", f.found}, {"remedy", f.remedy}};
    if (f.state == Finding::State::failed) check["code"] = static_cast<int>(f.code);
    check["values"] = f.values;
    checks.push_back(std::move(check));
  }
  const nlohmann::ordered_json all = {{"ok", is_ok()},        {"code", code()}, {"version", CHORALE_VERSION}, {"build", build_id()},
                                      {"launcher", launcher}, {"ranks", ranks}, {"seconds", seconds},         {"checks", checks}};
  return all.dump(2, ' ', true, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace chorale
