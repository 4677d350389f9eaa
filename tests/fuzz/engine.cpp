#include "engine.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <sstream>
#include <vector>

#include "coverage.hpp"
#include "mutation.hpp"

namespace chorale::fuzz {

namespace {

namespace fs = std::filesystem;
constexpr int kSecondsPerInput = 10;          // of processor time, far above the milliseconds that any input should take
constexpr std::size_t kLongestAnswer = 2048;  // an error is for people to read
constexpr std::size_t kMostInPool = 4096;
constexpr char kUsage[] = "usage: PROGRAM CORPUS [--seconds N] [--seed N | --seed random]\n       PROGRAM --input FILE\n";

struct Job {
  fs::path corpus, input;
  double seconds = 0;
  std::uint64_t seed = 1;
};

std::string bytes_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error(path.string() + " cannot be read");
  return {std::istreambuf_iterator<char>(in), {}};
}

/// Keeps the input at hand in a file, so that it is still there after a crash; names that file when the input takes too long.
class LastInput {
 public:
  explicit LastInput(const char* program) {
    std::snprintf(path_, sizeof path_, "%s.last", fs::path(program).filename().c_str());
    file_ = ::open(path_, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    ::signal(SIGPROF, too_long);
  }
  void set(std::string_view input) const {
    if (::ftruncate(file_, 0) != 0 || ::pwrite(file_, input.data(), input.size(), 0) != static_cast<ssize_t>(input.size()))
      throw std::runtime_error("the input cannot be written down");
    const itimerval limit = {{}, {kSecondsPerInput, 0}};
    ::setitimer(ITIMER_PROF, &limit, nullptr);
  }
  const char* path() const { return path_; }

 private:
  static void too_long(int) {
    constexpr char kText[] = "fuzz: FAILED: the input takes too long, it is in ";
    // Only calls that a signal handler may make.
    [[maybe_unused]] ssize_t n = ::write(2, kText, sizeof kText - 1);
    n = ::write(2, path_, __builtin_strlen(path_));
    n = ::write(2, "\n", 1);
    ::_exit(1);
  }
  static inline char path_[256];
  int file_ = -1;
};

std::string checked_answer(std::string_view input) {
  const std::string answer = answer_to(input);
  require(answer == "accepted" || answer.starts_with("refused: "), "an answer is accepted or refused: " + answer);
  require(answer.size() <= kLongestAnswer, "the error has " + std::to_string(answer.size()) + " bytes: " + answer.substr(0, 200));
  return answer;
}

/// name -> what its answer begins with or, of a refusal, contains.
std::map<std::string, std::string> read_answers(const fs::path& corpus) {
  std::ifstream in(corpus / "answers.txt");
  std::map<std::string, std::string> out;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, text;
    words >> name >> std::ws;
    std::getline(words, text);
    if (!name.empty() && name[0] != '#' && !out.emplace(name, text).second) throw std::runtime_error(name + " has two answers");
  }
  if (out.empty()) throw std::runtime_error(corpus.string() + " has no answers.txt");
  return out;
}

bool is_as_expected(const std::string& answer, const std::string& expected) {
  constexpr std::string_view kRefused = "refused ";
  if (expected == "accepted") return answer == expected;
  if (!expected.starts_with(kRefused)) throw std::runtime_error("answers are 'accepted' or 'refused PART OF THE ERROR', not " + expected);
  return answer.starts_with("refused: ") && answer.find(expected.substr(kRefused.size())) != std::string::npos;
}

/// Every file has an answer and gives it. Returns the files' bytes.
std::vector<std::string> try_corpus(const fs::path& corpus, const LastInput& last) {
  std::map<std::string, std::string> answers = read_answers(corpus);
  std::vector<std::string> pool;
  for (const auto& [name, expected] : answers) {
    pool.push_back(bytes_of(corpus / name));
    last.set(pool.back());
    forget_places();
    const std::string answer = checked_answer(pool.back());
    has_new_places();
    require(is_as_expected(answer, expected), name + ": expected " + expected + ", got " + answer);
  }
  for (const fs::directory_entry& file : fs::directory_iterator(corpus)) {
    const std::string name = file.path().filename().string();
    require(name == "answers.txt" || answers.contains(name), name + " has no line in answers.txt");
  }
  return pool;
}

void fuzz_for(const Job& job, std::vector<std::string> pool, const LastInput& last) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(job.seconds);
  Mutator mutator(job.seed, words());
  std::size_t runs = 0, accepted = 0;
  for (; Clock::now() < end; ++runs) {
    std::string input = mutator.next(pool);
    last.set(input);
    forget_places();
    accepted += checked_answer(input) == "accepted";
    if (has_new_places() && pool.size() < kMostInPool) pool.push_back(std::move(input));
  }
  std::printf("fuzz: %zu inputs, %zu accepted, pool %zu, places %zu\n", runs, accepted, pool.size(), places_seen());
}

Job job_of(int argc, char** argv) {
  Job job;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (word.starts_with("--") && ++i >= argc) throw std::runtime_error(kUsage);
    if (word == "--seconds")
      job.seconds = std::stod(value);
    else if (word == "--seed")
      job.seed = value == "random" ? std::random_device()() : std::stoull(value);
    else if (word == "--input")
      job.input = value;
    else if (word.starts_with("--") || !job.corpus.empty())
      throw std::runtime_error(kUsage);
    else
      job.corpus = word;
  }
  if (job.corpus.empty() == job.input.empty()) throw std::runtime_error(kUsage);
  return job;
}

}  // namespace

int run(int argc, char** argv) {
  const Job job = job_of(argc, argv);
  const LastInput last(argv[0]);
  try {
    if (!job.input.empty()) return std::printf("%s\n", checked_answer(bytes_of(job.input)).c_str()), 0;
    std::vector<std::string> pool = try_corpus(job.corpus, last);
    std::printf("fuzz: %zu files of the corpus answer as they should; seed %llu\n", pool.size(), static_cast<unsigned long long>(job.seed));
    std::fflush(stdout);
    fuzz_for(job, std::move(pool), last);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz: FAILED: %s\nfuzz: the input is in %s; again with: %s --input %s\n", error.what(), last.path(), argv[0],
                 last.path());
    return 1;
  }
}

}  // namespace chorale::fuzz

// Undefined behaviour is a finding, not a line among others.
extern "C" const char* __ubsan_default_options() { return "halt_on_error=1:print_stacktrace=1"; }

int main(int argc, char** argv) {
  try {
    return chorale::fuzz::run(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fuzz: %s\n", error.what());
    return 64;
  }
}
