// One verdict an attempt, whoever of its ranks writes it.
#include <catch2/catch.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include <chorale/launcher/last_word.hpp>
#include <chorale/launcher/run_directory.hpp>
#include <chorale/core/base/private_folder.hpp>

using namespace chorale;

namespace {

struct Begun {
  Begun() {
    run = std::make_unique<RunDirectory>(RunDirectory::Options{.path = place.path() + "/run", .name = "r"});
    run->start("");
    owner = *RunLock::holder(run->path());
  }
  std::vector<nlohmann::json> ends() const {
    std::vector<nlohmann::json> out;
    std::ifstream file(run->path() / "events.jsonl");
    for (std::string line; std::getline(file, line);)
      if (auto json = nlohmann::json::parse(line); json.at("event") == "end") out.push_back(json);
    return out;
  }
  PrivateFolder place;
  std::unique_ptr<RunDirectory> run;
  RunOwner owner;
};

/// Of this machine, and gone.
RunOwner dead(RunOwner owner) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  owner.pid = child;
  return owner;
}

RankEnd saw_rank_0(int rank) {
  return {.rank = rank, .kind = CauseKind::peer, .cause = "waiting for rank 0", .code = 75, .culprit = 0, .step = 9};
}

}  // namespace

TEST_CASE("when rank 0 has died one of the others writes the verdict, however many try at once") {
  const Begun b;
  std::vector<std::thread> ranks;
  std::atomic<int> written{0};
  const RunOwner first = dead(b.owner);
  for (int r = 1; r <= 4; ++r)
    ranks.emplace_back([&, r] {
      LastWord mine;
      mine.begin(b.run->path(), b.run->attempt(), first);
      if (mine.settle(saw_rank_0(r), {})) ++written;
    });
  for (std::thread& rank : ranks) rank.join();
  CHECK(written == 1);
  REQUIRE(b.ends().size() == 1);
  CHECK(b.ends()[0].at("rank") == 0);
  CHECK(b.ends()[0].at("code") == 75);
  CHECK(b.ends()[0].at("attempt") == 1);
  CHECK(b.ends()[0].at("step") == 9);
  CHECK_THAT(b.ends()[0].at("cause").get<std::string>(), Catch::StartsWith("rank 0 (node ") && Catch::Contains("has ended"));
}

TEST_CASE("a rank writes for a rank 0 that lives and says nothing, and not where that has said it") {
  const Begun b;
  LastWord first, second;
  first.begin(b.run->path(), 1, b.owner), second.begin(b.run->path(), 1, b.owner);
  const auto begun = std::chrono::steady_clock::now();
  CHECK_FALSE(first.recorded());
  CHECK(second.settle(saw_rank_0(1), {})->cause == "rank 1: waiting for rank 0");
  CHECK(first.recorded()->cause == "rank 1: waiting for rank 0");  // which rank 0 says, where that one is on another node
  CHECK(std::chrono::steady_clock::now() - begun >= std::chrono::milliseconds(600));
  CHECK_FALSE(first.settle({.rank = 0, .cause = "mine", .code = 70}, {}));
  b.run->end({.code = 70, .cause = "mine"});
  CHECK(b.ends().size() == 1);
}

TEST_CASE("rank 0 writes at once what happened to itself, and of others what all have told") {
  const Begun b;
  LastWord word;
  word.begin(b.run->path(), 1, b.owner);
  const std::vector<RankEnd> heard = {{.rank = 2, .host = "b", .process = 7, .status = SIGKILL}};
  const RankEnd mine = {.rank = 0, .kind = CauseKind::follows, .cause = "aborted by rank 1", .code = 75};
  CHECK_THAT(word.settle(mine, [&] { return heard; })->cause, Catch::StartsWith("rank 2 (node b, process 7) has ended: SIGKILL"));
}

TEST_CASE("nothing is written before the attempt has begun, or when another one has the run directory") {
  const Begun b;
  LastWord early, late;
  CHECK_FALSE(early.settle(saw_rank_0(0), {}));
  RunOwner other = b.owner;
  other.nonce = "another";
  late.begin(b.run->path(), 1, other);
  CHECK_FALSE(late.say({.code = 75, .cause = "late"}));
  CHECK(b.ends().empty());
}

TEST_CASE("an attempt that was lost with all who watched it gets its end from the next start") {
  Begun b;
  b.run->release();
  for (const bool is_requeued : {false, true}) {
    if (is_requeued) ::setenv("SLURM_JOB_ID", "7", 1), ::setenv("SLURM_RESTART_COUNT", "1", 1);
    RunDirectory next({.path = b.run->path(), .name = "r", .resume = true});
    next.claim(1, [](const std::string&) {});
    next.start("");
    next.release();
    const auto ends = b.ends();
    REQUIRE(ends.size() == (is_requeued ? 2 : 1));
    CHECK(ends.back().at("attempt") == next.attempt() - 1);
    CHECK(ends.back().at("code") == 75);
    CHECK(ends.back().at("step").is_null());
    // The second start was in no job, so it is another one that comes now.
    CHECK(ends.back().at("cause") == "no end was recorded; its ranks and who watched them have gone");
  }
  RunDirectory same({.path = b.run->path(), .name = "r", .resume = true});
  same.start("");
  CHECK(b.ends().back().at("cause") == "no end was recorded; the job was started again by Slurm");
  same.end({.code = 0, .cause = "done"});
  same.release();
  RunDirectory last({.path = b.run->path(), .name = "r", .resume = true});
  last.start("");
  CHECK(b.ends().size() == 4);  // one that has an end gets no other
  ::unsetenv("SLURM_JOB_ID"), ::unsetenv("SLURM_RESTART_COUNT");
}

TEST_CASE("who watched an attempt gives its lock back when its process has gone, and nobody else's") {
  Begun b;
  const auto put = [&](const RunOwner& owner) {
    std::ofstream(b.run->path() / "lock") << owner_json(owner);
    std::ofstream(b.run->path() / ("lock.beat." + owner.nonce)) << "1";
  };
  const auto is_held = [&] { return std::filesystem::exists(b.run->path() / "lock"); };
  RunOwner gone = dead(b.owner);
  gone.watcher = "me";
  RunOwner alive = b.owner, elsewhere = gone, others = gone, nobodys = gone;
  alive.watcher = "me", elsewhere.machine = "elsewhere", others.watcher = "another", nobodys.watcher = "";
  for (const RunOwner& owner : {alive, elsewhere, others}) {
    put(owner);
    RunLock::release_of(b.run->path(), "me");
    CHECK(is_held());
  }
  put(nobodys);
  RunLock::release_of(b.run->path(), "");
  CHECK(is_held());
  put(gone);
  RunLock::release_of(b.run->path(), "me");
  CHECK_FALSE(is_held());
  CHECK_FALSE(std::filesystem::exists(b.run->path() / ("lock.beat." + gone.nonce)));
  RunLock::release_of(b.run->path(), "me");  // there is none
}
