#include <catch2/catch.hpp>

#include <algorithm>
#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/supervisor/host_check.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>
#include <chorale/launcher/supervisor/launcher_words.hpp>

namespace chorale {

TEST_CASE("hosts are read as people write them", "[launcher]") {
  CHECK(parse_hosts("a:4,b:4") == std::vector<Host>{{"a", 4}, {"b", 4}});
  CHECK(parse_hosts("node[1-3,07]:2,x.y.z") == std::vector<Host>{{"node1", 2}, {"node2", 2}, {"node3", 2}, {"node07", 2}, {"x.y.z", 1}});
  CHECK(parse_hosts("n[08-11]").back().name == "n11");
  CHECK(hosts_text(parse_hosts("n[08-09]:3")) == "n08:3,n09:3");
  CHECK(ranks_on(parse_hosts("a:4,b")) == 5);
}

TEST_CASE("what is no list of hosts is refused, and nothing grows without bound", "[launcher]") {
  for (const char* text : {"",
                           ",",
                           "a,",
                           "a:",
                           "a:0",
                           "a:-1",
                           "a:x",
                           "-oProxyCommand=x",
                           "a b",
                           "a;b",
                           "$(id)",
                           "a\nb",
                           "a:1,a:2",
                           "n[1-",
                           "n[0000001-2]",
                           "n]1[",
                           "n[3-1]",
                           "n[x-y]",
                           "n[1-5000]",
                           "n[1-999999]:60000",
                           "a:99999999999"}) {
    INFO(text);
    CHECK_THROWS_AS(parse_hosts(text), UsageError);
  }
}

TEST_CASE("a host that does not answer is left out where that is allowed, another build never", "[launcher]") {
  std::vector<std::string> left_out;
  const std::vector<Host> hosts = parse_hosts("a:4,b:4");
  std::vector<HostAnswer> answers(2);
  answers[0].host = hosts[0], answers[1].host = hosts[1];
  answers[1].trouble = "does not answer within 10 s";
  CHECK_THROWS_AS(usable_hosts(answers, 0, left_out), CommError);
  CHECK_THROWS_AS(usable_hosts(answers, 5, left_out), CommError);
  left_out.clear();
  CHECK(hosts_text(usable_hosts(answers, 4, left_out)) == "a:4");
  CHECK(left_out == std::vector<std::string>{"host b does not answer within 10 s"});
  answers[1].trouble = "has another build of this program: x there, y here";
  CHECK_THROWS_AS(usable_hosts(answers, 1, left_out), UsageError);
}

TEST_CASE("a word for a remote shell stays one word", "[launcher]") {
  CHECK(quoted("a b") == "'a b'");
  CHECK(quoted("it's $(x)") == "'it'\\''s $(x)'");
}

TEST_CASE("what ranks on other hosts get of the environment: what all need, and what is exported") {
  ::setenv("CHORALE_TEST_ONE", "it's one", 1);
  ::unsetenv("CHORALE_TEST_NONE");
  ::setenv("OMP_NUM_THREADS", "2", 1);
  const std::vector<std::string> names = handed_on({.exported = {"CHORALE_TEST_ONE", "PATH"}});
  CHECK(std::count(names.begin(), names.end(), "PATH") == 1);
  CHECK(std::count(names.begin(), names.end(), "CHORALE_TEST_ONE") == 1);
  CHECK(std::count(names.begin(), names.end(), "OMP_NUM_THREADS") == 1);
  CHECK_THROWS_WITH(handed_on({.exported = {"CHORALE_TEST_NONE"}}), Catch::Contains("is not set here"));
  for (const char* wrong : {"A=1", "1A", "-x", "A B"}) CHECK_THROWS_AS(handed_on({.exported = {wrong}}), UsageError);
  ::unsetenv("OMP_NUM_THREADS");

  const std::string plain = host_question("/p/chorale", {}), asked = host_question("/p/chorale", {"/opt/mpi", {"CHORALE_TEST_ONE"}});
  CHECK_THAT(plain, Catch::StartsWith("env ") && Catch::EndsWith(" '/p/chorale' version --json"));
  CHECK_THAT(asked, Catch::StartsWith("test -x '/opt/mpi/bin/orted' && env ") && Catch::Contains("CHORALE_TEST_ONE='it'\\''s one'") &&
                        Catch::Contains("PATH='/opt/mpi/bin:") && Catch::Contains("LD_LIBRARY_PATH='/opt/mpi/lib"));
}

TEST_CASE("mpirun hears of the prefix and of each name") {
  ::setenv("CHORALE_TEST_ONE", "1", 1);
  RankPlan plan;
  plan.how = RankPlan::How::mpirun, plan.ranks = 2, plan.hosts = "a:1,b:1", plan.elsewhere = {"/opt/mpi", {"CHORALE_TEST_ONE"}};
  const auto words = launcher_words(plan, "/tmp", {"CHORALE_SECRET"});
  const auto has = [&](const std::string& flag, const std::string& value) {
    for (std::size_t i = 0; i + 1 < words.size(); ++i)
      if (words[i] == flag && words[i + 1] == value) return true;
    return false;
  };
  CHECK(has("--prefix", "/opt/mpi"));
  CHECK(has("-x", "CHORALE_TEST_ONE"));
  CHECK(has("-x", "CHORALE_SECRET"));
}

}  // namespace chorale
