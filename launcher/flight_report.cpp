#include <chorale/launcher/flight_report.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>
#include <chorale/launcher/attempt_records.hpp>

namespace chorale {

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Collective {
  std::string verb, label;
  std::int64_t bytes = 0;
  double begun = 0, finished = 0;  // finished 0: never
  std::string text(std::int64_t sequence) const { return fmt::format("{} #{} '{}'", verb, sequence, label); }
  bool operator==(const Collective& o) const { return verb == o.verb && label == o.label && bytes == o.bytes; }
};

using Scope = std::tuple<std::int64_t, std::int64_t, std::int64_t>;  // split, first rank, ranks

struct Record {
  std::int64_t rank = 0, size = 1, step = 0;
  std::string reason, place, last;
  double time = 0;
  std::map<Scope, std::map<std::int64_t, Collective>> collectives;  // by sequence
};

struct Finding {
  std::int64_t rank;
  std::string where, why;
};

Record parse(const std::string& text) {
  const Json j = Json::parse(text);
  Record out;
  out.rank = j.at("rank"), out.size = j.at("world_size"), out.step = j.at("step"), out.reason = j.at("reason"), out.time = j.at("time");
  out.place = j.at("activity");
  if (const std::string what = j.at("what"); !what.empty()) {
    if (out.place == "communicating")
      out.place = fmt::format("{} #{}", what, j.at("sequence").get<std::int64_t>());
    else
      out.place += (out.place == "forward" || out.place == "backward" ? " of layer '" : " '") + what + "'";
  }
  for (const Json& e : j.at("entries")) {
    if (e.at("kind") != "collective") continue;
    const std::int64_t sequence = e.at("sequence");
    const Collective one{e.at("verb"), e.at("label"), e.at("bytes"), e.at("begun"),
                         e.at("finished").is_null() ? 0 : e.at("finished").get<double>()};
    out.collectives[{e.at("split"), e.at("first_rank"), e.at("ranks")}][sequence] = one;
    out.last = one.text(sequence) + (e.at("finished").is_null() ? ", not finished" : "");
  }
  return out;
}

/// run: named in the error.
std::vector<Record> read_records(const fs::path& folder, const fs::path& run) {
  std::vector<Record> out;
  std::error_code missing;
  for (const auto& entry : fs::directory_iterator(folder, missing)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("flight_rank_") || !name.ends_with(".json")) continue;
    try {
      out.push_back(parse(read_text(entry.path())));
    } catch (const nlohmann::json::exception& e) {
      throw DataError(entry.path().string() + ": is no whole flight record (" + e.what() + "); was the disk full?");
    }
  }
  if (out.empty())
    throw UsageError(run.string() + ": there is no flight record (logs/flight_rank_N.json); ranks write one when they end badly");
  std::sort(out.begin(), out.end(), [](const Record& a, const Record& b) { return a.rank < b.rank; });
  // An attempt with more ranks may have left some.
  const Record newest = *std::max_element(out.begin(), out.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  std::erase_if(out, [&](const Record& r) { return r.size != newest.size; });
  return out;
}

/// Seconds from the end of the collective before to this one's begin. One clock, since those of nodes differ; -1: the one before is not
/// there.
double gap_before(const Record& r, const Scope& scope, std::int64_t sequence) {
  const auto& all = r.collectives.at(scope);
  const auto before = all.find(sequence - 1);
  return before == all.end() || before->second.finished == 0 ? -1 : all.at(sequence).begun - before->second.finished;
}

std::string where_of(const Record& r) { return r.place + (r.step > 0 ? fmt::format(" in step {}", r.step) : ""); }

/// logs: their folder, below the run's.
std::optional<Finding> died_by_itself(const std::vector<Record>& records, const fs::path& logs) {
  const Record* first = nullptr;
  for (const Record& r : records)
    if (r.reason.starts_with("SIG") && (!first || r.time < first->time)) first = &r;
  if (!first) return std::nullopt;
  return Finding{first->rank, where_of(*first),
                 fmt::format("it died by {}; {}/backtrace_rank_{}.txt has the frames", first->reason, logs.string(), first->rank)};
}

/// The earliest collective that two ranks have come to in different ways.
std::optional<Finding> called_another(const std::vector<Record>& records) {
  std::optional<Finding> out;
  double earliest = 0;
  std::map<std::pair<Scope, std::int64_t>, std::vector<std::pair<const Record*, const Collective*>>> met;
  for (const Record& r : records)
    for (const auto& [scope, all] : r.collectives)
      for (const auto& [sequence, one] : all) met[{scope, sequence}].emplace_back(&r, &one);
  for (const auto& [key, ranks] : met) {
    const auto likes = [&](const Collective& one) {
      return std::count_if(ranks.begin(), ranks.end(), [&](const auto& other) { return *other.second == one; });
    };
    const auto most =
        std::max_element(ranks.begin(), ranks.end(), [&](const auto& a, const auto& b) { return likes(*a.second) < likes(*b.second); });
    for (const auto& [record, one] : ranks) {
      if (*one == *most->second || (out && one->begun >= earliest)) continue;
      earliest = one->begun;
      out = Finding{record->rank, one->text(key.second),
                    fmt::format("rank {} was at {} with {} bytes, it at {} with {} bytes", most->first->rank,
                                most->second->text(key.second), most->second->bytes, one->text(key.second), one->bytes)};
    }
  }
  return out;
}

std::optional<Finding> left_nothing(const std::vector<Record>& records) {
  for (std::int64_t rank = 0; rank < records.front().size; ++rank)
    if (std::none_of(records.begin(), records.end(), [&](const Record& r) { return r.rank == rank; }))
      return Finding{rank, "unknown", "it left no record: it was killed or stopped, or its node is gone"};
  return std::nullopt;
}

/// Who has not come where others already wait.
std::optional<Finding> fell_behind(const std::vector<Record>& records) {
  std::optional<Finding> out;
  double earliest = 0;
  for (const Record& r : records)
    for (const auto& [scope, all] : r.collectives)
      for (const Record& other : records) {
        const auto there = other.collectives.find(scope);
        if (there == other.collectives.end() || all.empty()) continue;
        const auto next = there->second.upper_bound(all.rbegin()->first);
        if (next == there->second.end() || (out && next->second.begun >= earliest)) continue;
        earliest = next->second.begun;
        out =
            Finding{r.rank, where_of(r), fmt::format("it never came to {}, where rank {} was", next->second.text(next->first), other.rank)};
      }
  return out;
}

/// All have come to the one that nobody finished, but one much later: it was stopped, or slow, and woke too late.
std::optional<Finding> came_late(const std::vector<Record>& records) {
  constexpr double kClear = 1;  // seconds
  for (const auto& [scope, all] : records.front().collectives) {
    if (all.empty() || all.rbegin()->second.finished != 0) continue;
    const std::int64_t sequence = all.rbegin()->first;
    const Record *slowest = nullptr, *quickest = nullptr;
    for (const Record& r : records) {
      const auto own = r.collectives.find(scope);
      if (own == r.collectives.end() || !own->second.contains(sequence)) continue;
      const double gap = gap_before(r, scope, sequence);
      if (!slowest || gap > gap_before(*slowest, scope, sequence)) slowest = &r;
      if (!quickest || gap < gap_before(*quickest, scope, sequence)) quickest = &r;
    }
    const double late = gap_before(*slowest, scope, sequence) - gap_before(*quickest, scope, sequence);
    if (gap_before(*quickest, scope, sequence) < 0 || late < kClear) continue;
    return Finding{slowest->rank, where_of(*slowest),
                   fmt::format("it came to {} {:.1f} s after rank {}, which says: {}", all.rbegin()->second.text(sequence), late,
                               quickest->rank, quickest->reason)};
  }
  return std::nullopt;
}

}  // namespace

nlohmann::ordered_json flight_report(const fs::path& run) {
  const fs::path folder = newest_records(run);
  const std::vector<Record> records = read_records(folder, run);
  const fs::path logs = folder.lexically_relative(run);
  Json out = {{"records", logs.string()}, {"first", nullptr}, {"ranks", Json::array()}};
  std::optional<Finding> first = died_by_itself(records, logs);
  if (!first) first = called_another(records);
  if (!first) first = left_nothing(records);
  if (!first) first = fell_behind(records);
  if (!first) first = came_late(records);
  if (first) out["first"] = {{"rank", first->rank}, {"where", first->where}, {"why", first->why}};
  for (const Record& r : records)
    out["ranks"].push_back(
        {{"rank", r.rank}, {"place", r.place}, {"step", r.step}, {"last", r.last}, {"time", r.time}, {"reason", r.reason}});
  return out;
}

}  // namespace chorale
