#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/manifest.hpp>
#include <chorale/launcher/run_owner.hpp>
#include <chorale/launcher/slurm/job_state.hpp>
#include <chorale/launcher/slurm/submitted_run.hpp>
#include <chorale/tests/launcher/slurm/stand_ins.hpp>

using namespace chorale;
using Catch::Contains;

namespace {
void checkpoint(const tests::Folder& folder, const std::string& run, std::int64_t step, int workers) {
  folder.write(run + "/checkpoints/step_" + std::to_string(step) + "/manifest.json",
               manifest_text({.step = step, .fields = "{\"virtual_workers\": " + std::to_string(workers) + "}"}));
}
}  // namespace

TEST_CASE("a run goes on with the virtual workers of its newest checkpoint that is one, or of its recipe") {
  const tests::Folder folder;
  CHECK(virtual_workers_of(folder.path / "run") == 0);
  folder.write("run/recipe.resolved.ini", "[parallel]\nvirtual_workers = 6\n");
  CHECK(virtual_workers_of(folder.path / "run") == 6);
  checkpoint(folder, "run", 9, 2);
  checkpoint(folder, "run", 10, 4);
  folder.write("run/checkpoints/step_11/manifest.json", "{}");
  CHECK(virtual_workers_of(folder.path / "run") == 4);
}

TEST_CASE("seeds of an array have their virtual workers in common, or the user says which") {
  const tests::Folder folder;
  std::filesystem::create_directories(folder.path / "run/seed_1");
  checkpoint(folder, "run/seed_2", 5, 4);
  checkpoint(folder, "run/seed_3", 7, 4);
  CHECK(virtual_workers_of(folder.path / "run") == 4);
  checkpoint(folder, "run/seed_4", 7, 8);
  CHECK_THROWS_WITH(virtual_workers_of(folder.path / "run"), Contains("4 and 8") && Contains("--parallel.virtual_workers"));
}

TEST_CASE("the folder of a job that is queued or runs is another's") {
  const tests::StandIns slurm;
  const tests::Folder folder;
  const auto event = [](const std::string& name, const std::string& job) {
    return R"({"attempt":0,"event":")" + name + R"(","job":")" + job + "\"}\n";
  };
  folder.write("run/events.jsonl", event("submit", "4") + event("submit", "7"));
  folder.write("run/seed_2/events.jsonl", event("start", "9_2"));
  slurm.program("squeue", "case \" $* \" in *=7\\ *) echo 'COMPLETED (None)'; echo 'PENDING (Resources)';; *) echo 'FAILED (None)';; esac");
  CHECK(job_state("7").is_live());  // an array's number: one of its tasks waits
  CHECK_THROWS_WITH(must_have_no_job(folder.path / "run"), Contains("job 7") && Contains("PENDING (Resources)") && Contains("scancel 7"));
  slurm.program("squeue", "case \" $* \" in *=9\\ *) echo 'RUNNING (None)';; *) echo 'FAILED (None)';; esac");
  CHECK_THROWS_AS(must_have_no_job(folder.path / "run"), OwnedError);
  slurm.program("squeue", "echo 'CANCELLED (None)'");
  CHECK_NOTHROW(must_have_no_job(folder.path / "run"));
  slurm.state("RUNNING");
  slurm.cluster("near");
  folder.write("far/events.jsonl", R"({"attempt":0,"event":"submit","job":"7","cluster":"far"})"
                                   "\n");
  folder.write("near/events.jsonl", R"({"attempt":0,"event":"submit","job":"7","cluster":"near"})"
                                    "\n");
  CHECK_NOTHROW(must_have_no_job(folder.path / "far"));  // its number is another cluster's
  CHECK_THROWS_AS(must_have_no_job(folder.path / "near"), OwnedError);
  CHECK(job_state("7").kind == JobState::Kind::running);
  slurm.no_such_job();
  CHECK(job_state("7").kind == JobState::Kind::forgotten);
  CHECK(job_state("7; touch x").kind == JobState::Kind::unknown);
  CHECK_NOTHROW(must_have_no_job(folder.path / "run"));
  CHECK_NOTHROW(must_have_no_job(folder.path / "none"));
}

TEST_CASE("a run or a seed that an attempt trains in is not submitted into") {
  const tests::Folder folder;
  CHECK_NOTHROW(must_be_unlocked(folder.path / "run"));
  RunOwner owner = this_owner(60);  // this process lives
  folder.write("run/seed_1/lock", owner_json(owner));
  CHECK_THROWS_AS(must_be_unlocked(folder.path / "run"), OwnedError);
  owner.started += 1;
  folder.write("run/seed_1/lock", owner_json(owner));
  CHECK_NOTHROW(must_be_unlocked(folder.path / "run"));
  folder.write("run/lock", "no lock");
  CHECK_THROWS_AS(must_be_unlocked(folder.path / "run"), OwnedError);
}
