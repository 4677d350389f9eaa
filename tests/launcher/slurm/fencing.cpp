// Whose word counts for an attempt elsewhere: Slurm's where its cluster is the lock's, and else that of its heart.
#include <catch2/catch.hpp>

#include <chrono>
#include <thread>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/run_lock.hpp>
#include <chorale/tests/launcher/slurm/stand_ins.hpp>

using namespace chorale;
using Catch::Contains;

namespace {

/// The lock of job 7 of cluster "far", on another machine; its heart beats as long as this lives.
struct Held {
  explicit Held(bool beats, const std::string& cluster = "far") {
    RunOwner owner = this_owner(0.8);
    owner.machine = "another", owner.cluster = cluster, owner.job = "7";
    folder.write("lock", owner_json(owner));
    folder.write("lock.beat." + owner.nonce, "1\n");
    if (!beats) return;
    heart = std::jthread([this, owner](const std::stop_token& stop) {
      for (int count = 2; !stop.stop_requested(); ++count, std::this_thread::sleep_for(std::chrono::milliseconds(50)))
        folder.write("lock.beat." + owner.nonce, std::to_string(count) + "\n");
    });
  }
  /// Seconds that it took to take the lock; it throws when it is alive.
  double take() const {
    const auto start = std::chrono::steady_clock::now();
    const RunLock lock(folder.path, this_owner(0.8), [](const std::string&) {});
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  tests::Folder folder;
  std::jthread heart;
};

}  // namespace

TEST_CASE("the word of another cluster's Slurm does not count, whatever it says") {
  const tests::StandIns slurm;
  slurm.cluster("near");
  slurm.no_such_job();
  CHECK_THROWS_AS(Held(true).take(), OwnedError);
  slurm.state("COMPLETED (None)");
  CHECK_THROWS_AS(Held(true).take(), OwnedError);
  CHECK_THROWS_AS(Held(true, "").take(), OwnedError);  // of a version that did not say
  slurm.state("RUNNING (None)");
  CHECK(Held(false).take() >= 3 * 0.8);
}

TEST_CASE("a job that its own cluster does not know any more is over when its heart stands still too") {
  const tests::StandIns slurm;
  slurm.cluster("far");
  slurm.no_such_job();
  CHECK_THROWS_AS(Held(true).take(), OwnedError);
  CHECK(Held(false).take() >= 0.8);
}

TEST_CASE("the word of the lock's own cluster counts at once") {
  const tests::StandIns slurm;
  slurm.cluster("far");
  slurm.state("COMPLETED (None)");
  CHECK(Held(true).take() < 0.8);
  slurm.state("RUNNING (None)");
  CHECK_THROWS_AS(Held(false).take(), OwnedError);
}

TEST_CASE("a job that Slurm has started again owns what its last start has left, in its own cluster alone") {
  const tests::StandIns slurm;
  slurm.no_such_job();
  slurm.cluster("near");
  const tests::Variable job("SLURM_JOB_ID", "7"), restarts("SLURM_RESTART_COUNT", "1");
  RunOwner old = this_owner(1);
  old.restart = 0;
  CHECK(old.cluster == "near");  // nothing else says it here
  CHECK(slurm_word(old, this_owner(1)) == SlurmWord::over);
  const tests::Variable cluster("SLURM_CLUSTER_NAME", "far");
  CHECK(this_owner(1).cluster == "far");
  CHECK(slurm_word(old, this_owner(1)) == SlurmWord::forgotten);
  CHECK(parse_owner(owner_json(old))->cluster == "near");
}
