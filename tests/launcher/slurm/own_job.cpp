#include <catch2/catch.hpp>

#include <chorale/launcher/slurm/own_job.hpp>
#include <chorale/launcher/slurm/program_call.hpp>
#include <chorale/tests/launcher/slurm/stand_ins.hpp>

using namespace chorale;
using Catch::Contains;
using tests::Variable;

TEST_CASE("an array's number is ours only where it can be our own array's") {
  CHECK(own_job().empty());
  const Variable job("SLURM_JOB_ID", "12");
  CHECK(own_job() == "12");
  const Variable task("SLURM_ARRAY_TASK_ID", "3");
  CHECK(own_job() == "12");
  for (const auto& [array, expected] : {std::pair("10", "10_3"), {"12", "12_3"}, {"13", "12"}, {"x", "12"}, {"", "12"}}) {
    const Variable of_array("SLURM_ARRAY_JOB_ID", array);
    CHECK(own_job() == expected);
  }
}

TEST_CASE("a new job gets nothing of what describes the one that it is submitted from") {
  const auto said = [] { return call_program({.words = {"env"}, .limit = std::chrono::seconds(10), .hands_on = is_for_new_job})->output; };
  const Variable conf("SLURM_CONF", "/etc/x"), bind("SLURM_CPU_BIND", "none"), array("SLURM_ARRAY_TASK_ID", "3"), own("CHORALE_DATA", "/d");
  CHECK_THAT(said(), Contains("SLURM_CPU_BIND=none") && !Contains("SLURM_ARRAY"));  // outside a job it is the user's wish
  const Variable job("SLURM_JOB_ID", "12"), het("SLURM_HET_SIZE", "2"), restarts("SLURM_RESTART_COUNT", "2"), nodes("SLURM_NNODES", "2"),
      rank("PMIX_NAMESPACE", "s"), cpus("SRUN_CPUS_PER_TASK", "4"), supervisor("CHORALE_SUPERVISOR", "a");
  CHECK_THAT(said(), Contains("SLURM_CONF=/etc/x") && Contains("CHORALE_DATA=/d") && Contains("PATH="));
  for (const char* gone : {"SLURM_JOB_ID", "SLURM_HET_SIZE", "SLURM_ARRAY_TASK_ID", "SLURM_RESTART_COUNT", "SLURM_NNODES", "SLURM_CPU_BIND",
                           "PMIX_NAMESPACE", "SRUN_CPUS_PER_TASK", "CHORALE_SUPERVISOR"})
    CHECK_THAT(said(), !Contains(gone));
}
