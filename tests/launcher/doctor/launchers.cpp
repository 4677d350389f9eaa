// What launchers say of themselves, and what ranks say before they end.
#include <catch2/catch.hpp>

#include <chorale/launcher/doctor/probe.hpp>
#include <chorale/launcher/doctor/tools.hpp>
#include <chorale/launcher/doctor/world.hpp>
#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace {
using State = Finding::State;
const LinkedMpi kLinked = {.library = "Open MPI v4.1.4, package: Debian OpenMPI", .file = "/usr/lib/libmpi.so.40"};
ToolAnswer tool(const std::string& text, int code = 0) {
  return {.path = "/usr/bin/tool", .has_answered = true, .code = code, .text = text};
}
Finding find(const std::vector<Finding>& all, const std::string& name) {
  for (const Finding& f : all)
    if (f.name == name) return f;
  return failed("absent", ExitCode::internal, name, "");
}
}  // namespace

TEST_CASE("versions of MPI are read as each writes them", "[launcher]") {
  CHECK(mpi_kind_of("mpirun (Open MPI) 4.1.4\n").name == "Open MPI");
  CHECK(mpi_kind_of("mpirun (Open MPI) 4.1.4\n").version == "4.1.4");
  CHECK(mpi_kind_of("HYDRA build details:\n    Version:        4.0.2\n").name == "MPICH");
  CHECK(mpi_kind_of("Intel(R) MPI Library for Linux* OS, Version 2021.8 Build 20221129").name == "Intel MPI");
  CHECK(mpi_kind_of("no idea").name.empty());
}

TEST_CASE("an mpirun of another MPI fails, of another version warns, one that hangs or is missing is said", "[launcher]") {
  CHECK(judge_mpi(kLinked, tool("mpirun (Open MPI) 4.1.6"), {}).state == State::ok);
  CHECK(judge_mpi(kLinked, tool("mpirun (Open MPI) 5.0.1"), {}).state == State::warning);
  CHECK(judge_mpi(kLinked, tool("HYDRA build details:\n Version: 4.0.2"), {}).state == State::failed);
  CHECK(judge_mpi(kLinked, tool("cannot load libhwloc", 127), {}).state == State::failed);
  CHECK(judge_mpi(kLinked, {.path = "/usr/bin/mpirun"}, {}).found.find("does not answer") != std::string::npos);
  CHECK(judge_mpi(kLinked, {}, {}).state == State::warning);
  CHECK(judge_mpi(kLinked, {}, {.mpirun = true}).state == State::failed);
  CHECK(judge_mpi(kLinked, {}, {.srun = true}).state == State::ok);
}

TEST_CASE("an srun without pmix fails where it is to start ranks, and warns elsewhere", "[launcher]") {
  const ToolAnswer version = tool("slurm-wlm 22.05.8\n");
  CHECK(judge_slurm(version, tool("MPI plugin types are...\n\tnone\n\tpmi2\n\tpmix\n"), {.srun = true}).state == State::ok);
  CHECK(judge_slurm(version, tool("MPI plugin types are...\n\tnone\n\tpmi2\n"), {.srun = true}).state == State::failed);
  CHECK(judge_slurm(version, tool("MPI plugin types are...\n\tnone\n\tpmi2\n"), {}).state == State::warning);
  CHECK(judge_slurm(version, tool("no configuration", 1), {}).state == State::skipped);
  CHECK(judge_slurm(version, tool("no configuration", 1), {.is_job = true}).state == State::failed);
  CHECK(judge_slurm({}, {}, {}).state == State::skipped);
}

TEST_CASE("two copies of PMIx are said", "[launcher]") {
  CHECK(judge_pmix("OpenPMIx 4.2.2", {"/usr/libpmix.so.2"}).state == State::ok);
  CHECK(judge_pmix("OpenPMIx 4.2.2", {"/usr/libpmix.so.2", "/opt/libpmix.so.2"}).state == State::warning);
}

TEST_CASE("tasks that each see a world of 1 are told the ways that work", "[launcher]") {
  WorldOutcome world = {.expected = 4, .launcher = "srun", .wrong_sizes = {1, 1, 1, 1}};
  const Finding found = judge_world(world);
  CHECK(found.state == State::failed);
  CHECK(found.found.find("4 tasks were started by srun, but MPI sees a world of 1: PMIx") != std::string::npos);
  CHECK(found.remedy.find("--mpi=pmix") != std::string::npos);
  world.launcher = "mpirun";
  CHECK(judge_world(world).found.find("another MPI") != std::string::npos);
}

TEST_CASE("tasks of srun that MPI_Init refuses for want of PMIx are told the same", "[launcher]") {
  WorldOutcome world = {.expected = 4, .launcher = "the outer srun", .began = {0}};
  world.trouble = "has ended (code 1) before its ranks were done", world.messages = "OMPI was not built with SLURM's PMI support";
  CHECK(judge_world(world).remedy.find("--mpi=pmix") != std::string::npos);
  world.launcher = "mpirun";
  CHECK(judge_world(world).remedy.find("--mpi=pmix") == std::string::npos);
}

TEST_CASE("a launcher that hangs after its ranks is a warning", "[launcher]") {
  WorldOutcome world = {.expected = 2, .launcher = "mpirun", .formed = true};
  CHECK(judge_world(world).state == State::ok);
  world.has_hung = true;
  CHECK(judge_world(world).state == State::warning);
}

TEST_CASE("the check in which ranks were ended fails with what they said, later ones are skipped", "[launcher]") {
  WorldOutcome world = {.expected = 2, .launcher = "mpirun", .formed = true, .under_way = "links"};
  world.trouble = "has ended (code 1) before its ranks were done";
  CHECK(find(judge_probes(world), "latency").found == "mpirun has ended (code 1) before its ranks were done");
  world.error = "rank 0: waiting for rank 1";
  const auto found = judge_probes(world);
  CHECK(find(found, "latency").state == State::failed);
  CHECK(find(found, "latency").found == world.error);
  CHECK(find(found, "all_reduce").found == "the ranks were stopped in check links");
  world.error = "", world.missing = "rank 1 on b has said nothing for 5.0 s";
  CHECK(find(judge_probes(world), "latency").found == "not finished within its 8 s: rank 1 on b has said nothing for 5.0 s");
  world.expected = 1;
  CHECK(find(judge_probes(world), "clocks").state == State::skipped);
}

TEST_CASE("who holds a check up is named: silent ranks with their host, else the one that others wait for", "[launcher]") {
  std::map<int, HeardRank> heard = {{0, {.host = "a", .seconds_ago = 0.3, .awaits = 1}},
                                    {1, {.host = "b", .seconds_ago = 5.02, .awaits = 0}}};
  CHECK(missing_text(heard) == "rank 1 on b has said nothing for 5.0 s");
  heard[1].seconds_ago = 0.1, heard[1].awaits = -1;
  CHECK(missing_text(heard) == "all 2 ranks answer; 1 waits for rank 1 on b");
  heard[0].awaits = -1;
  CHECK(missing_text(heard) == "all 2 ranks answer, none waits for another");
  for (int rank = 2; rank < 9; ++rank) heard[rank] = {.host = "c", .seconds_ago = 3};
  CHECK_THAT(missing_text(heard), Catch::StartsWith("rank 2 on c has said nothing") && Catch::EndsWith("; and 3 more"));
}

TEST_CASE("the check of right sums comes before those of speed, which may take longer than there is time", "[launcher]") {
  const auto at = [](const std::string& name) { return find_probe(name) - all_probes().data(); };
  CHECK(at("all_reduce") < at("peaks"));
}

TEST_CASE("facts that no rank of this build has written fail their checks only", "[launcher]") {
  WorldOutcome world = {.expected = 2, .formed = true};
  world.facts["clocks"] = {{"x", 1}};
  CHECK(find(judge_probes(world), "clocks").state == State::failed);
}

TEST_CASE("lines of ranks are found among those of launchers", "[launcher]") {
  CHECK(parse_rank_line("[vm:1] warning").is_null());
  CHECK(parse_rank_line("chorale-doctor {\"began\": 3}").value("began", 0) == 3);
  CHECK(parse_rank_line("[1,0]<stdout>:chorale-doctor {\"world\": 2}").value("world", 0) == 2);
  CHECK(parse_rank_line("chorale-doctor {\"wor").is_null());
  CHECK(parse_rank_line("chorale-doctor [1]").is_null());
}

TEST_CASE("a program that hangs is ended at the limit and others are heard", "[launcher]") {
  const PrivateFolder folder;
  ToolQuestions questions({{"sleep", "100"}, {"echo", "hello"}, {"no-such-program-here", "x"}}, folder.path());
  const auto start = std::chrono::steady_clock::now();
  const auto answers = questions.answers(std::chrono::milliseconds(300));
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(5));
  REQUIRE(answers.size() == 3);
  CHECK_FALSE(answers[0].has_answered);
  CHECK(answers[1].text == "hello\n");
  CHECK(answers[2].path.empty());
}

}  // namespace chorale
