#include <chorale/launcher/collab/study_result.hpp>

#include <algorithm>
#include <cstring>
#include <span>
#include <string_view>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

namespace {

constexpr std::string_view kMagic = "chorale study 1\n";
constexpr std::size_t kHashText = 32;
constexpr std::uint64_t kLargestFile = std::uint64_t{1} << 32;  // a hundred million rows
constexpr std::uint64_t kLongestText = 4096, kMostTasks = 1024;

class Writer {
 public:
  template <class T>
  void number(T value) {
    out_.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  void text(const std::string& value) {
    number(std::uint64_t{value.size()});
    out_ += value;
  }
  template <class T>
  void numbers(const std::vector<T>& values) {
    number(std::uint64_t{values.size()});
    out_.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  }
  /// All that was written, then its hash.
  std::string sealed() const { return out_ + content_hash_of(out_); }

 private:
  std::string out_{kMagic};
};

/// Never believes a length that the rest of the file cannot hold.
class Reader {
 public:
  Reader(std::string_view bytes, const std::filesystem::path& path) : rest_(bytes), path_(path) {}

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string text() { return std::string(take(bounded(number<std::uint64_t>(), kLongestText))); }
  template <class T>
  std::vector<T> numbers() {
    const auto count = bounded(number<std::uint64_t>(), rest_.size() / sizeof(T));
    std::vector<T> values(count);
    if (count > 0) std::memcpy(values.data(), take(count * sizeof(T)).data(), count * sizeof(T));
    return values;
  }
  std::uint64_t bounded(std::uint64_t value, std::uint64_t most) const {
    if (value > most) fail("a length of " + std::to_string(value) + " where at most " + std::to_string(most) + " can be");
    return value;
  }
  bool at_end() const { return rest_.empty(); }
  [[noreturn]] void fail(const std::string& what) const {
    throw CheckpointError("[collab study] " + path_.string() + ": " + what + "; remove the file, and its run is made again");
  }

 private:
  std::string_view take(std::uint64_t bytes) {
    if (bytes > rest_.size()) fail("ends " + std::to_string(bytes - rest_.size()) + " bytes early");
    const auto taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  std::string_view rest_;
  const std::filesystem::path& path_;
};

/// "" when arrays fit together.
std::string misfit(const TaskScores& t) {
  const std::size_t rows = t.prediction.size();
  if (t.target.size() != rows || t.entity.size() != rows || (!t.weight.empty() && t.weight.size() != rows))
    return "task " + t.task + " has " + std::to_string(rows) + " predictions, " + std::to_string(t.target.size()) + " targets, " +
           std::to_string(t.weight.size()) + " weights and " + std::to_string(t.entity.size()) + " entities";
  return "";
}

std::string misfit(const StudyResult& result) {
  for (const TaskScores& task : result.tasks)
    if (std::string what = misfit(task); !what.empty()) return what;
  const std::size_t tasks = result.tasks.size();
  if (tasks > kMostTasks) return std::to_string(tasks) + " tasks where at most " + std::to_string(kMostTasks) + " can be";
  if (!result.affinity.empty() && result.affinity.size() != tasks * tasks)
    return "an affinity matrix of " + std::to_string(result.affinity.size()) + " values for " + std::to_string(tasks) + " tasks";
  return "";
}

void write_key(Writer& out, const StudyKey& key) {
  out.number(key.labels);
  out.number(key.every);
  out.number(key.width);
  out.text(key.arm);
  out.number(key.seed);
}

StudyKey read_key(Reader& in) {
  StudyKey key;
  key.labels = in.number<std::int64_t>();
  key.every = in.number<std::int64_t>();
  key.width = in.number<std::int64_t>();
  key.arm = in.text();
  key.seed = in.number<std::uint64_t>();
  return key;
}

void write_task(Writer& out, const TaskScores& t) {
  out.text(t.task);
  out.text(t.metric);
  out.number(std::uint8_t{t.higher_is_better});
  out.number(t.value);
  out.number(t.training_labels);
  out.number(t.validation_labels);
  out.number(t.peers_trained_on);
  out.numbers(t.prediction);
  out.numbers(t.target);
  out.numbers(t.weight);
  out.numbers(t.entity);
}

TaskScores read_task(Reader& in) {
  TaskScores t;
  t.task = in.text();
  t.metric = in.text();
  t.higher_is_better = in.bounded(in.number<std::uint8_t>(), 1) == 1;
  t.value = in.number<double>();
  t.training_labels = in.number<std::int64_t>();
  t.validation_labels = in.number<std::int64_t>();
  t.peers_trained_on = in.number<std::int64_t>();
  t.prediction = in.numbers<double>();
  t.target = in.numbers<double>();
  t.weight = in.numbers<double>();
  t.entity = in.numbers<std::uint64_t>();
  return t;
}

StudyResult read_result(Reader& in) {
  StudyResult result;
  result.key = read_key(in);
  result.recipe = in.text();
  const auto tasks = in.bounded(in.number<std::uint64_t>(), kMostTasks);
  for (std::uint64_t i = 0; i < tasks; ++i) result.tasks.push_back(read_task(in));
  result.bytes_per_step_per_rank = in.number<double>();
  result.step_ms = in.number<double>();
  result.affinity = in.numbers<double>();
  if (!in.at_end()) in.fail("has bytes after its end");
  if (const std::string what = misfit(result); !what.empty()) in.fail(what);
  return result;
}

std::string name_of(const StudyKey& key) {
  return "labels-" + (key.labels == kAllLabels ? std::string("all") : std::to_string(key.labels)) + "_every-" + std::to_string(key.every) +
         "_width-" + std::to_string(key.width) + "_" + key.arm + "_seed-" + std::to_string(key.seed);
}

}  // namespace

std::string file_name(const StudyKey& key) {
  const bool plain =
      std::all_of(key.arm.begin(), key.arm.end(), [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
  if (key.arm.empty() || key.arm.size() > 64 || !plain)
    throw UsageError("[collab study] an arm '" + key.arm + "' cannot name a file; use at most 64 lower-case letters, digits and _");
  return name_of(key) + ".result";
}

void save_result(const std::filesystem::path& folder, const StudyResult& result) {
  if (const std::string what = misfit(result); !what.empty()) throw InternalError("[collab study] " + what);
  Writer out;
  write_key(out, result.key);
  out.text(result.recipe);
  out.number(std::uint64_t{result.tasks.size()});
  for (const TaskScores& task : result.tasks) write_task(out, task);
  out.number(result.bytes_per_step_per_rank);
  out.number(result.step_ms);
  out.numbers(result.affinity);
  write_file_atomically(folder / file_name(result.key), out.sealed());
}

StudyResult load_result(const std::filesystem::path& folder, const StudyKey& key, const std::string& recipe) {
  const std::filesystem::path path = folder / file_name(key);
  const std::uint64_t bytes = File::open_read(path).size();
  Reader start("", path);
  if (bytes < kMagic.size() + kHashText || bytes > kLargestFile) start.fail("has " + std::to_string(bytes) + " bytes, which no result has");
  const std::string whole = read_text(path);
  if (!whole.starts_with(kMagic)) start.fail("does not start as a result of this version does");
  const std::string_view body = std::string_view(whole).substr(0, whole.size() - kHashText);
  if (content_hash_of(body) != std::string_view(whole).substr(body.size()))
    start.fail("is damaged: its bytes are not those that were written");
  Reader in(body.substr(kMagic.size()), path);
  StudyResult result = read_result(in);
  if (result.key != key) in.fail("holds the run " + name_of(result.key));
  if (result.recipe != recipe)
    throw UsageError("[collab study] " + path.string() + " was made from another recipe, other data or another version; name a new folder");
  return result;
}

}  // namespace chorale
