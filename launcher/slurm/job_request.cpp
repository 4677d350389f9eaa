#include <chorale/launcher/slurm/job_request.hpp>

#include <algorithm>
#include <regex>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/excerpt.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>

namespace chorale {

void describe(OptionTable& t, JobWords& w) {
  t.add("nodes", w.nodes, "Nodes of the job.");
  t.add("ranks-per-node", w.ranks_per_node, "Ranks on each of them.");
  t.add("min-ranks", w.min_ranks,
        "After a node is lost go on with this many ranks at least, a multiple of --ranks-per-node; 0: wait for as many as before.",
        {.min = 0, .max = 1e6});
  t.add("time", w.time, "Time limit as Slurm writes it: 04:00:00. Before it the run is saved and the job queued again.");
  t.add("partition", w.partition, "Slurm's partition, or several parted by commas; by default the cluster's.");
  t.add("account", w.account, "Slurm's account; by default the user's.");
  t.add("job-name", w.job_name, "By default the recipe's name.");
  t.add("array", w.array, "One run for each seed: seeds=1-5, seeds=1,3,7 or seeds=1-100%4 (four at a time).");
}

namespace {

constexpr std::int64_t kMost = 65536;

[[noreturn]] void refuse_heterogeneous(const std::string& flag, const std::string& text) {
  throw UsageError(flag + " " + excerpt(text) +
                   " asks for a heterogeneous job, which is refused: Slurm gives each of its parts an MPI world of its own under srun, and "
                   "cannot requeue one part alone. Ask for equal nodes; the number of ranks may be any");
}

std::int64_t count_of(const std::string& flag, const std::string& text) {
  if (text.find_first_of(":,+") != std::string::npos) refuse_heterogeneous(flag, text);
  static const std::regex digits(R"(\d{1,5})");
  const std::int64_t n = std::regex_match(text, digits) ? std::stoll(text) : 0;
  if (n < 1 || n > kMost) throw UsageError(flag + " '" + excerpt(text) + "' is refused: expected a number of at least 1");
  return n;
}

/// Slurm's names; what could end a line, open a quote or look like an option is not among the marks.
std::string plain_name(const std::string& flag, const std::string& text, bool may_be_list) {
  static const std::regex one(R"([A-Za-z0-9_][A-Za-z0-9_.\-]{0,127})"), list(R"([A-Za-z0-9_][A-Za-z0-9_.,\-]{0,511})");
  if (text.empty() || std::regex_match(text, may_be_list ? list : one)) return text;
  throw UsageError(flag + " '" + excerpt(text) + "' is refused: expected letters, digits, '_', '.' and '-', not beginning with a mark");
}

std::string name_from(std::string text) {
  for (char& c : text)
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != '.') c = '_';
  if (text.empty() || text.front() == '-' || text.front() == '.') text.insert(0, "_");
  return text.substr(0, 64);
}

/// What has the form but names nothing, which sbatch would refuse when the run's folder is already there.
void check_counts(const std::string& text, const std::string& seeds) {
  static const std::regex range(R"((\d+)-(\d+))"), zero(R"([:%]0+(,|%|$))");
  for (std::sregex_iterator it(seeds.begin(), seeds.end(), range), end; it != end; ++it)
    if (std::stoll((*it)[1]) > std::stoll((*it)[2]))
      throw UsageError("--array '" + excerpt(text) + "' is refused: " + it->str() + " runs backwards; write the smaller number first");
  if (std::regex_search(seeds, zero))
    throw UsageError("--array '" + excerpt(text) + "' is refused: a step, and the number at a time, is at least 1");
}

std::string seeds_of(const std::string& text) {
  if (text.empty()) return "";
  constexpr std::size_t kLongest = 1024;  // std::regex calls itself for each character
  if (text.size() > kLongest) throw UsageError("--array '" + excerpt(text) + "' is refused: it is longer than 1024 characters");
  static const std::regex form(R"(seeds=(\d{1,9}(-\d{1,9}(:\d{1,9})?)?(,\d{1,9}(-\d{1,9}(:\d{1,9})?)?)*(%\d{1,6})?))");
  std::smatch m;
  if (std::regex_match(text, m, form)) {
    check_counts(text, m[1]);
    return m[1];
  }
  throw UsageError("--array '" + excerpt(text) + "' is refused: expected seeds= and numbers, for example seeds=1-5 or seeds=1,3,7%2");
}

}  // namespace

JobRequest checked(const JobWords& w, const std::string& recipe_name, std::int64_t threads) {
  JobRequest r;
  r.nodes = r.least_nodes = count_of("--nodes", w.nodes);
  r.ranks_per_node = count_of("--ranks-per-node", w.ranks_per_node);
  if (w.time.empty()) throw UsageError("--time is missing: how long may the job run? For example --time 04:00:00");
  r.seconds = seconds_of_time_limit(w.time);
  r.partition = plain_name("--partition", w.partition, true);
  r.account = plain_name("--account", w.account, false);
  r.name = w.job_name.empty() ? name_from(recipe_name) : plain_name("--job-name", w.job_name, false);
  r.seeds = seeds_of(w.array);
  r.threads = threads;
  r.min_ranks = w.min_ranks;
  if (r.min_ranks == 0) return r;
  if (r.min_ranks > r.ranks() || r.min_ranks % r.ranks_per_node != 0)
    throw UsageError("--min-ranks " + std::to_string(r.min_ranks) + " is refused: expected whole nodes, a multiple of " +
                     std::to_string(r.ranks_per_node) + " up to " + std::to_string(r.ranks()));
  r.least_nodes = r.min_ranks / r.ranks_per_node;
  return r;
}

}  // namespace chorale
