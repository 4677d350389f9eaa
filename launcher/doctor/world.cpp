#include <chorale/launcher/doctor/world.hpp>

#include <fmt/format.h>
#include <sys/wait.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <algorithm>
#include <optional>
#include <thread>
#include <utility>

#include <chorale/launcher/signals.hpp>
#include <chorale/launcher/doctor/probe.hpp>
#include <chorale/launcher/supervisor/launcher_words.hpp>
#include <chorale/launcher/supervisor/silence.hpp>
#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/verdict.hpp>

namespace chorale {

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;
constexpr auto kBeginWithin = 8s, kFormWithin = 8s;  // the first process, and all in MPI after it
constexpr auto kEndWithin = 2s;                      // the launcher, when its ranks have nothing more to do
constexpr auto kTermWithin = 2s;
constexpr auto kGatherFor = 500ms;  // after the first bad news: others may say more

/// The output of ranks as it grows.
class RankLines {
 public:
  explicit RankLines(const std::string& path) : path_(path) {}
  std::vector<std::string> take() {
    std::vector<std::string> out;
    std::ifstream file(path_);
    file.seekg(read_);
    char block[1 << 16];
    while (file.read(block, sizeof block), file.gcount() > 0) {
      read_ += file.gcount();
      rest_.append(block, static_cast<std::size_t>(file.gcount()));
    }
    for (std::size_t end; (end = rest_.find('\n')) != std::string::npos; rest_.erase(0, end + 1)) out.push_back(rest_.substr(0, end));
    return out;
  }

 private:
  std::string path_, rest_;
  std::streamoff read_ = 0;
};

void hear(const nlohmann::json& line, WorldOutcome& out) {
  if (line.contains("began")) out.began.push_back(line.value("began", 0));
  if (line.contains("world")) {
    const int size = line.value("world", 0);
    out.nodes = line.value("nodes", 1);
    size == out.expected ? out.formed = true : (out.wrong_sizes.push_back(size), true);
  }
  if (line.contains("probe")) {
    const std::string name = line.value("probe", "");
    out.under_way = name;
    if (line.contains("facts")) out.facts[name] = line["facts"], out.seconds[name] = line.value("seconds", 0.0), out.under_way.clear();
  }
  // Those that only follow name the one that was first.
  if (line.contains("error") && (out.error.empty() || out.error.find("aborted by rank") != std::string::npos))
    out.error = fmt::format("rank {}: {}", line.value("rank", 0), line.value("error", ""));
  out.is_over = out.is_over || line.contains("over");
}

bool says_something(const std::string& line) {
  // That it has lost a text on the way from a rank: about one in eight of those of a failing MPI_Init.
  return line.find_first_not_of("-_ \t\r") != std::string::npos && line.find("show_help.c at line") == std::string::npos;
}

/// The first lines that say something; Open MPI frames its texts with dashes.
std::string first_words(const std::string& path) {
  std::ifstream file(path);
  std::string out;
  int count = 0;
  for (std::string line; std::getline(file, line) && count < 8;)
    if (says_something(line)) out += (count++ == 0 ? "" : "\n") + line.substr(0, 200);
  return out;
}

class Watch {
 public:
  explicit Watch(const WorldOrder& order)
      : order_(order), output_(order.folder + "/output"), messages_(order.folder + "/messages"), lines_(output_) {
    out_.expected = static_cast<int>(order.ranks.expected), out_.launcher = order.name;
    std::vector<std::string> words = order.launcher;
    words.push_back(std::filesystem::read_symlink("/proc/self/exe").string());
    const std::vector<std::string> ours = order.ranks.words();
    words.insert(words.end(), ours.begin(), ours.end());
    std::filesystem::remove(output_);
    child_ = start_child(words, {.output = output_, .messages = messages_}, order.environment);
  }

  WorldOutcome run() {
    while (goes_on()) std::this_thread::sleep_for(20ms);
    if (!out_.is_over && out_.missing.empty()) note_stopped();
    WorldOutcome seen = out_;
    end();
    read();
    if (!seen.trouble.empty()) {  // mpirun wakes stopped ranks when it is ended, and they go on: only errors are still of interest
      if (seen.error.empty()) seen.error = out_.error;
      out_ = std::move(seen);
    }
    out_.messages = first_words(messages_);
    return std::move(out_);
  }

 private:
  void read() {
    for (const std::string& text : lines_.take()) {
      const nlohmann::json line = parse_rank_line(text);
      if (line.is_null()) continue;
      if (out_.began.empty()) began_at_ = Clock::now();
      if (line.contains("probe")) probe_at_ = Clock::now();
      if (line.contains("began") || line.contains("alive")) note_rank(line);
      hear(line, out_);
    }
  }

  void note_rank(const nlohmann::json& line) {
    const int rank = line.value("alive", line.value("began", 0));
    said_[rank] = {{.host = line.value("host", ""), .process = line.value("process", std::int64_t{0}), .awaits = line.value("awaits", -1)},
                   Clock::now()};
  }

  std::string who_is_missing() const {
    std::map<int, HeardRank> heard;
    for (const auto& [rank, said] : said_) {
      heard[rank] = said.first;
      heard[rank].seconds_ago = std::chrono::duration<double>(Clock::now() - said.second).count();
    }
    return missing_text(heard);
  }

  /// Of this host. Seen without their words: mpirun may hand these on only when it ends.
  void note_stopped() {
    for (const int rank : stopped_ranks_of(child_))
      out_.missing += fmt::format("{}{}{}", out_.missing.empty() ? "" : "; ", rank_text(rank, host_name()), stopped_text(true));
  }

  bool has_ended() {
    int status = 0;
    if (!status_ && ended_within(child_, 0ms, status)) status_ = status;
    return status_.has_value();
  }

  bool goes_on() {
    const bool ended = has_ended();  // before the last look at what it wrote
    read();
    if (out_.is_over || !out_.trouble.empty()) return false;
    if (stop_requested()) return out_.trouble = "was stopped", false;
    const bool is_bad = !out_.error.empty() || !out_.wrong_sizes.empty();
    if (is_bad && bad_at_ == Clock::time_point{}) bad_at_ = Clock::now();
    if (is_bad && Clock::now() - bad_at_ > kGatherFor) return false;
    if (ended) {
      if (!is_bad) out_.trouble = fmt::format("has ended ({}) before its ranks were done", text_of_status(*status_));
      return false;
    }
    const auto now = Clock::now();
    const Probe* probe = find_probe(out_.under_way);
    if (probe && now - probe_at_ > probe->share + kGatherFor)  // ranks that find it out themselves say who is missing
      out_.trouble = fmt::format("was ended in check {}", probe->name), out_.missing = who_is_missing();
    else if (out_.began.empty() && now - start_ > std::min<Clock::duration>(kBeginWithin, order_.limit))
      out_.trouble = fmt::format("has started no rank within {} s", whole_seconds(now - start_));
    else if (!out_.began.empty() && !out_.formed && !is_bad && now - began_at_ > kFormWithin)
      out_.trouble = fmt::format("has started {} of {} ranks, and MPI_Init has not returned within {} s", out_.began.size(), out_.expected,
                                 whole_seconds(now - began_at_));
    else if (now - start_ > order_.limit)
      out_.trouble = fmt::format("was ended after {} s", whole_seconds(now - start_));
    return true;
  }

  static std::int64_t whole_seconds(Clock::duration d) { return std::chrono::duration_cast<std::chrono::seconds>(d).count(); }

  /// TERM lets a launcher end what it has started, also on other hosts. Its processes have a second then, and it some time to count them.
  void end() {
    const auto until = Clock::now() + kEndWithin;
    while (out_.is_over && !has_ended() && Clock::now() < until) std::this_thread::sleep_for(10ms);
    if (has_ended()) return;
    out_.has_hung = out_.is_over;
    int status = 0;
    if (!order_.launcher.empty() && !out_.has_hung)
      ::kill(child_, SIGTERM), status_ = ended_within(child_, kTermWithin, status) ? std::optional(status) : status_;
    ::kill(-child_, SIGKILL);  // also what a launcher that has ended left of its group
    if (!status_) ended_within(child_, 500ms, status);
  }

  const WorldOrder& order_;
  std::string output_, messages_;
  RankLines lines_;
  WorldOutcome out_;
  pid_t child_ = -1;
  std::optional<int> status_;
  std::map<int, std::pair<HeardRank, Clock::time_point>> said_;
  Clock::time_point start_ = Clock::now(), began_at_, bad_at_, probe_at_;
};

}  // namespace

std::string missing_text(const std::map<int, HeardRank>& heard) {
  constexpr double kSilent = 2;  // of one that speaks twice a second
  constexpr std::size_t kMost = 4;
  std::vector<std::string> silent;
  std::map<int, int> waiting;  // for each rank
  for (const auto& [rank, said] : heard) {
    if (said.awaits >= 0) ++waiting[said.awaits];
    if (said.seconds_ago < kSilent) continue;
    const bool stopped = said.host == host_name() && is_stopped(said.process);
    silent.push_back(
        fmt::format("{} has said nothing for {:.1f} s{}", rank_text(rank, said.host), said.seconds_ago, stopped_text(stopped)));
  }
  const std::size_t more = silent.size() - std::min(silent.size(), kMost);
  silent.resize(silent.size() - more);
  if (more > 0) silent.push_back(fmt::format("and {} more", more));
  if (!silent.empty()) return fmt::format("{}", fmt::join(silent, "; "));
  const auto most = std::max_element(waiting.begin(), waiting.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  if (most == waiting.end()) return fmt::format("all {} ranks answer, none waits for another", heard.size());
  const auto at = heard.find(most->first);
  return fmt::format("all {} ranks answer; {} {} for {}", heard.size(), most->second, most->second == 1 ? "waits" : "wait",
                     at == heard.end() ? fmt::format("rank {}", most->first) : rank_text(at->first, at->second.host));
}

WorldOutcome watch_world(const WorldOrder& order) { return Watch(order).run(); }

}  // namespace chorale
