#include <catch2/catch.hpp>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/attempt_records.hpp>
#include <chorale/launcher/flight_report.hpp>

using namespace chorale;

namespace {

/// A run directory in which ranks have left records.
class Records {
 public:
  explicit Records(int size)
      : size_(size), path_(std::filesystem::temp_directory_path() / ("chorale_report_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(path_ / "logs");
  }
  ~Records() { std::filesystem::remove_all(path_); }
  const std::filesystem::path& path() const { return path_; }
  /// Collectives are numbered from 1; the last one is not finished. begun: of the last, in seconds.
  void add(int rank, const std::string& reason, const std::vector<std::string>& labels, double begun = 10) const {
    std::ofstream out(path_ / "logs" / ("flight_rank_" + std::to_string(rank) + ".json"));
    out << R"({"rank":)" << rank << R"(,"world_size":)" << size_ << R"(,"reason":")" << reason
        << R"(","time":20.5,"activity":"forward","what":"2","step":7,"sequence":1,"entries":[)";
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const bool last = i + 1 == labels.size();
      out << (i ? "," : "") << R"({"number":1,"kind":"collective","verb":"barrier","label":")" << labels[i] << R"(","sequence":)" << i + 1
          << R"(,"bytes":0,"first_rank":0,"ranks":3,"split":0,"step":7,"begun":)" << (last ? begun : 1.0 + static_cast<double>(i))
          << R"(,"finished":)" << (last ? "null" : std::to_string(1.5 + static_cast<double>(i))) << "}";
    }
    out << "]}";
  }
  nlohmann::ordered_json first() const { return flight_report(path_).at("first"); }

 private:
  int size_;
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("who died by a signal diverged first") {
  const Records records(2);
  records.add(0, "rank 1 has died", {"a", "b"});
  records.add(1, "SIGSEGV", {"a"});
  CHECK(records.first().at("rank") == 1);
  CHECK(records.first().at("where") == "forward of layer '2' in step 7");
}

TEST_CASE("who came to another collective than most diverged first, there") {
  const Records records(3);
  records.add(0, "x", {"a", "gradients"});
  records.add(1, "x", {"a", "other"});
  records.add(2, "x", {"a", "gradients"});
  CHECK(records.first().at("rank") == 1);
  CHECK(records.first().at("where") == "barrier #2 'other'");
}

TEST_CASE("who left nothing is named, and else who never came") {
  const Records records(3);
  records.add(0, "deadline", {"a", "b"});
  records.add(2, "deadline", {"a"});
  CHECK(records.first().at("rank") == 1);
  records.add(1, "deadline", {"a", "b"});
  CHECK(records.first().at("rank") == 2);
  CHECK(records.first().at("why") == "it never came to barrier #2 'b', where rank 0 was");
}

TEST_CASE("who came when it was too late is named by what each clock says of itself") {
  const Records records(2);
  records.add(0, "deadline", {"a", "b"}, 2.0);
  records.add(1, "deadline", {"a", "b"}, 9.0);
  CHECK(records.first().at("rank") == 1);
  records.add(1, "deadline", {"a", "b"}, 2.1);
  CHECK(records.first().is_null());
}

TEST_CASE("a run without records and a record that is cut are said to be so") {
  const Records records(1);
  CHECK_THROWS_AS(flight_report(records.path()), UsageError);
  std::ofstream(records.path() / "logs" / "flight_rank_0.json") << R"({"rank":0,)";
  CHECK_THROWS_AS(flight_report(records.path()), DataError);
}

TEST_CASE("records of an attempt outlive the next one") {
  const Records records(2);
  const std::filesystem::path logs = records.path() / "logs";
  keep_records(records.path(), 0);
  CHECK(std::filesystem::is_empty(logs));
  for (int attempt = 1; attempt <= 7; ++attempt) {
    records.add(0, "rank 1 has died", {"a"});
    if (attempt == 7) records.add(1, "SIGSEGV", {"a"});
    std::ofstream(logs / "backtrace_rank_1.txt") << attempt;
    std::ofstream(logs / "rank_0.jsonl") << "{}";
    keep_records(records.path(), attempt);
  }
  CHECK(records.first().at("why") == "it died by SIGSEGV; logs/attempt_7/backtrace_rank_1.txt has the frames");
  CHECK(flight_report(records.path()).at("records") == "logs/attempt_7");
  CHECK(std::filesystem::exists(logs / "rank_0.jsonl"));
  CHECK(!std::filesystem::exists(logs / "backtrace_rank_1.txt"));
  CHECK(std::filesystem::exists(logs / "attempt_3" / "backtrace_rank_1.txt"));
  CHECK(!std::filesystem::exists(logs / "attempt_2"));  // five are kept
  records.add(0, "the deadline", {"a"});
  CHECK(flight_report(records.path()).at("records") == "logs");
}

TEST_CASE("a link in the place of an attempt's folder is not followed") {
  const Records records(1);
  const std::filesystem::path logs = records.path() / "logs", outside = records.path() / "outside";
  std::filesystem::create_directories(outside);
  std::ofstream(outside / "flight_rank_0.json") << "{}";
  std::filesystem::create_directory_symlink(outside, logs / "attempt_1");
  CHECK(newest_records(records.path()).empty());
  records.add(0, "x", {"a"});
  keep_records(records.path(), 1);
  CHECK(std::filesystem::file_size(outside / "flight_rank_0.json") == 2);
}
