// Verdicts over findings that no healthy machine has.
#include <catch2/catch.hpp>

#include <chorale/launcher/doctor/all_reduce.hpp>
#include <chorale/launcher/doctor/builds.hpp>
#include <chorale/launcher/doctor/clocks.hpp>
#include <chorale/launcher/doctor/directory.hpp>
#include <chorale/launcher/doctor/interfaces.hpp>
#include <chorale/launcher/doctor/limits.hpp>
#include <chorale/launcher/doctor/peaks.hpp>
#include <chorale/launcher/doctor/places.hpp>

namespace chorale {

namespace {
using State = Finding::State;
bool says(const Finding& finding, const std::string& text) {
  INFO(finding.found);
  return finding.found.find(text) != std::string::npos;
}
constexpr std::int64_t kMiB = 1 << 20, kGiB = 1 << 30;
}  // namespace

TEST_CASE("a clock that is off by more than half a second is named, with its direction", "[launcher]") {
  CHECK(judge_clocks({{.rank = 1, .host = "b", .ahead_s = 0.1, .within_s = 1e-5}}).state == State::ok);
  const Finding skewed =
      judge_clocks({{.rank = 1, .host = "b", .ahead_s = 0.1}, {.rank = 2, .host = "c", .ahead_s = -172800, .within_s = 1e-4}});
  CHECK(skewed.state == State::warning);
  CHECK(says(skewed, "rank 2 on c is 1.73e+05 s behind"));
  // The way there and back took so long that nothing is known.
  CHECK(judge_clocks({{.rank = 1, .host = "b", .ahead_s = 0.8, .within_s = 0.9}}).state == State::ok);
  CHECK(judge_clocks({}).state == State::skipped);
}

TEST_CASE("ranks of two builds fail, ranks of two processors take the lowest instruction set", "[launcher]") {
  BuildFacts a = {.rank = 0, .host = "a", .version = "1", .build = "x", .isa = 2, .libraries = "l"}, b = a;
  b.rank = 1, b.host = "b";
  CHECK(judge_builds({a, b})[0].state == State::ok);
  b.build = "y";
  CHECK(judge_builds({a, b})[0].state == State::failed);
  CHECK(says(judge_builds({a, b})[0], "rank 1 on b runs 1 build y"));
  b.build = "x", b.isa = 1;
  const auto found = judge_builds({a, b});
  CHECK(found[0].state == State::ok);
  CHECK(found[2].state == State::warning);
  CHECK(says(found[2], "all ranks take avx2"));
  CHECK(found[2].values["chosen"] == "avx2");
}

TEST_CASE("two copies of one MPI library in a rank fail, other copies on another host are a warning", "[launcher]") {
  BuildFacts a = {.rank = 0, .host = "a", .mpi_libraries = {"/usr/libmpi.so.40", "/usr/libpmix.so.2"}}, b = a;
  CHECK(judge_builds({a, b})[1].state == State::ok);
  b.mpi_libraries[0] = "/opt/libmpi.so.40";
  CHECK(judge_builds({a, b})[1].state == State::warning);
  b.mpi_libraries.push_back("/opt/libpmix.so.2");
  CHECK(judge_builds({a, b})[1].state == State::failed);
}

TEST_CASE("the tightest limit is named with its rank; what root has no limit of is not asked of others", "[launcher]") {
  LimitFacts fine = {.rank = 0, .host = "a", .ranks = 2, .ranks_here = 1, .open_files = 20000, .is_root = true, .temporary = kGiB};
  CHECK(judge_limits({fine})[0].state == State::ok);
  LimitFacts low = fine;
  low.rank = 1, low.host = "b", low.open_files = 40;
  CHECK(judge_limits({fine, low})[0].state == State::failed);
  CHECK(says(judge_limits({fine, low})[0], "rank 1 on b may have 40 open files"));
  low.open_files = 500;
  CHECK(judge_limits({fine, low})[0].state == State::warning);
  low = fine, low.processes = 10;
  CHECK(judge_limits({low})[0].state == State::ok);
  low.is_root = false;
  CHECK(judge_limits({low})[0].state == State::failed);
  low = fine, low.address_space = 512 * kMiB;
  CHECK(says(judge_limits({low})[0], "512.0 MiB of address space"));
  low = fine, low.locked_memory = 1024;
  CHECK(judge_limits({low})[0].state == State::ok);
  low.has_fast_network = true;
  CHECK(judge_limits({low})[0].state == State::failed);
}

TEST_CASE("memory of Open MPI that does not fit where it lies is a warning", "[launcher]") {
  LimitFacts r = {.rank = 0, .host = "a", .ranks = 2, .ranks_here = 2, .dev_shm = kMiB, .temporary = kGiB, .temporary_folder = "/tmp"};
  CHECK(judge_limits({r})[1].state == State::ok);
  r.uses_dev_shm = true;
  CHECK(says(judge_limits({r})[1], "/dev/shm of a has 1.0 MiB"));
  r.uses_dev_shm = false, r.temporary = kMiB;
  CHECK(says(judge_limits({r})[1], "/tmp of a has 1.0 MiB free"));
}

TEST_CASE("a folder that not all ranks share, or cannot write, or that is full, fails", "[launcher]") {
  DirectoryFacts a = {.rank = 0, .host = "a", .folder = "/runs", .free_bytes = 100 * kGiB, .free_inodes = 1000000}, b = a;
  b.rank = 1, b.host = "b";
  CHECK(judge_directory({a, b})[0].state == State::ok);
  CHECK(judge_directory({a, b})[1].state == State::ok);
  b.unread = "No such file or directory";
  CHECK(judge_directory({a, b})[0].code == ExitCode::io);
  CHECK(says(judge_directory({a, b})[0], "rank 1 on b cannot read"));
  b.unread = "", b.unwritten = "Read-only file system";
  CHECK(judge_directory({a, b})[0].state == State::failed);
  a.free_bytes = 10 * kMiB;
  CHECK(judge_directory({a})[1].state == State::failed);
  a.free_bytes = 500 * kMiB;
  CHECK(judge_directory({a})[1].state == State::warning);
  a.free_bytes = 100 * kGiB, a.free_inodes = 5;
  CHECK(judge_directory({a})[1].state == State::failed);
  a.free_inodes = -1;
  CHECK(judge_directory({a})[1].state == State::ok);
}

TEST_CASE("what a rank that was ended has left is looked for in the directory and above it", "[launcher]") {
  CHECK(nonce_files("/a/b", "77") == std::vector<std::string>{"/a/b/.chorale-doctor-77", "/a/.chorale-doctor-77", "/.chorale-doctor-77"});
}

TEST_CASE("hosts without a network in common, or a setting that names no interface, are told", "[launcher]") {
  HostInterfaces a = {.rank = 0, .host = "a", .interfaces = {{.name = "eth0", .address = "10.0.0.1", .prefix = 24}}}, b = a;
  b.rank = 1, b.host = "b", b.interfaces[0].address = "10.0.0.2";
  CHECK(judge_interfaces({a, b}).state == State::ok);
  b.interfaces[0].address = "10.0.1.2";
  CHECK(judge_interfaces({a, b}).state == State::warning);
  b.interfaces.clear();
  CHECK(judge_interfaces({a, b}).state == State::failed);
  b = a, b.host = "b", b.include = "ib0";
  CHECK(says(judge_interfaces({a, b}), "names ib0, which b does not have"));
  b.include = "10.0.0.0/24";
  CHECK(judge_interfaces({a, b}).state == State::ok);
  a.interfaces.push_back({.name = "docker0", .address = "172.17.0.1", .prefix = 16}), b.include = "";
  CHECK(says(judge_interfaces({a, b}), "several interfaces"));
}

TEST_CASE("a wrong sum names rank and type", "[launcher]") {
  CHECK(judge_sums({{.rank = 0, .host = "a", .right = {"f32"}}}).state == State::ok);
  const Finding wrong =
      judge_sums({{.rank = 0, .host = "a", .right = {"f32"}}, {.rank = 1, .host = "b", .wrong = {"f32 of 4099 elements"}}});
  CHECK(wrong.code == ExitCode::comm);
  CHECK(says(wrong, "rank 1 on b got wrong sums: f32 of 4099 elements"));
}

TEST_CASE("a rank at less than half the median is named, and ranks that take each other's cores", "[launcher]") {
  PeakFacts a = {.rank = 0, .host = "a", .gflops_alone = 100, .gflops_together = 95, .gbs_alone = 20, .gbs_together = 8}, b = a, c = a;
  b.rank = 1, c.rank = 2, c.host = "c";
  CHECK(judge_peaks({a, b, c})[0].state == State::ok);
  CHECK(judge_peaks({a, b, c})[1].state == State::ok);
  c.gflops_alone = 40;
  CHECK(says(judge_peaks({a, b, c})[0], "rank 2 on c does 40 GFLOP/s alone"));
  c = a, c.rank = 2, c.host = "c", c.gbs_together = 1;
  CHECK(says(judge_peaks({a, b, c})[1], "rank 2 on c does 1 GB/s with all at once"));
  for (PeakFacts* r : {&a, &b}) r->gflops_together = 50;
  CHECK(judge_peaks({a, b})[0].state == State::warning);
}

TEST_CASE("slots: an allocation that is too small fails, also when mpirun says so", "[launcher]") {
  PlaceFacts p;
  p.plan.how = RankPlan::How::mpirun, p.plan.ranks = 8, p.cores = 16, p.slurm_tasks = 4;
  CHECK(judge_slots(p).state == State::failed);
  p.slurm_tasks = 8;
  CHECK(judge_slots(p).state == State::ok);
  p.messages = "There are not enough slots available in the system";
  CHECK(judge_slots(p).state == State::failed);
  p.slurm_tasks = 0, p.messages = "", p.cores = 2, p.plan.crowded = true;
  CHECK(judge_slots(p).state == State::warning);
}

TEST_CASE("hosts in trouble are all named", "[launcher]") {
  CHECK(judge_hosts({}).state == State::skipped);
  std::vector<HostAnswer> answers;
  for (const Host& host : parse_hosts("a:4,b:4,c:4")) answers.push_back({host, ""});
  CHECK(judge_hosts(answers).state == State::ok);
  answers[1].trouble = "does not answer within 5 s", answers[2].trouble = "has another build";
  const Finding found = judge_hosts(answers);
  CHECK(found.state == State::failed);
  CHECK(says(found, "b does not answer within 5 s; c has another build; fine: a"));
}

}  // namespace chorale
