// What `chorale submit` is told about a job, and what of it is refused.
#pragma once
#include <cstdint>
#include <string>

#include <chorale/core/base/option.hpp>

namespace chorale {

/// As the user writes it. Texts, because Slurm's own forms (2:1, 4,2) get an answer of their own.
struct JobWords {
  std::string nodes = "1", ranks_per_node = "1", time;
  std::string partition, account, job_name, array;
  std::int64_t min_ranks = 0;
};
void describe(OptionTable& table, JobWords& words);

/// Checked: every text is of letters, digits and a few marks, so that it can stand in a line of a script.
struct JobRequest {
  std::string name, partition, account;
  std::int64_t nodes = 1, least_nodes = 1, ranks_per_node = 1, threads = 1;
  std::int64_t min_ranks = 0;  // 0: all
  std::int64_t seconds = 0;
  std::string seeds;  // "1-5" of an array; empty: none
  std::int64_t ranks() const { return nodes * ranks_per_node; }
};

/// recipe_name gives the job's name where none is given; marks that a name may not have become '_'. Throws UsageError.
JobRequest checked(const JobWords& words, const std::string& recipe_name, std::int64_t threads);

}  // namespace chorale
