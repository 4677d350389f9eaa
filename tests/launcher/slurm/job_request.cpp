#include <catch2/catch.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/slurm/job_request.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>

using namespace chorale;
using Catch::Contains;

namespace {
JobWords words() {
  JobWords w;
  w.nodes = "2", w.ranks_per_node = "4", w.time = "04:00:00";
  return w;
}
}  // namespace

TEST_CASE("time limits are read as Slurm reads them") {
  CHECK(seconds_of_time_limit("90") == 90 * 60);
  CHECK(seconds_of_time_limit("30:15") == 30 * 60 + 15);
  CHECK(seconds_of_time_limit("04:00:00") == 4 * 3600);
  CHECK(seconds_of_time_limit("1-12") == 36 * 3600);
  CHECK(seconds_of_time_limit("1-12:30") == 36 * 3600 + 1800);
  CHECK(seconds_of_time_limit("2-00:00:01") == 2 * 86400 + 1);
  CHECK(time_limit_text(seconds_of_time_limit("1-02:03:04")) == "1-02:03:04");
  for (const char* wrong : {"", "0", "-1", "4h", "1:2:3:4", "UNLIMITED", "04:00:00\n#SBATCH --x", "99999999999999999999"})
    CHECK_THROWS_AS(seconds_of_time_limit(wrong), UsageError);
}

TEST_CASE("names that could become more than a word of a line are refused") {
  const std::vector<std::string> hostile = {"a b",     "a\nb",     "a\n#SBATCH --time=1",
                                            "'a'",     "\"a\"",    "$(touch x)",
                                            "`id`",    "a;b",      "a|b",
                                            "-p",      "--wrap=x", "a#b",
                                            "a\\b",    "a\tb",     "a=b",
                                            "\x1b[2J", "../a/b",   "a\rb",
                                            "a&b",     "%j",       "*",
                                            "~"};
  for (const std::string& text : hostile) {
    CAPTURE(text);
    JobWords w = words();
    w.partition = text;
    CHECK_THROWS_AS(checked(w, "r", 1), UsageError);
    w = words(), w.account = text;
    CHECK_THROWS_AS(checked(w, "r", 1), UsageError);
    w = words(), w.job_name = text;
    CHECK_THROWS_AS(checked(w, "r", 1), UsageError);
    w = words(), w.array = "seeds=" + text;
    CHECK_THROWS_AS(checked(w, "r", 1), UsageError);
    const std::string made = checked(words(), text, 1).name;
    CHECK(made.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string::npos);
    CHECK(made.front() != '-');
  }
  JobWords w = words();
  w.partition = "short,long-2", w.account = "grp_1", w.job_name = "a.b-c", w.array = "seeds=1-5,7,9-20:2%3";
  const JobRequest job = checked(w, "r", 2);
  CHECK(job.partition == "short,long-2");
  CHECK(job.seeds == "1-5,7,9-20:2%3");
  CHECK(job.ranks() == 8);
}

TEST_CASE("seeds that name nothing are refused before a folder is made") {
  for (const char* text : {"seeds=5-1", "seeds=1-3,9-8", "seeds=1-5%0", "seeds=1-9:0", "seeds=1-9:00,11"}) {
    CAPTURE(text);
    JobWords w = words();
    w.array = text;
    CHECK_THROWS_AS(checked(w, "r", 1), UsageError);
  }
  JobWords w = words();
  w.array = "seeds=7-7,0-10:10%10";
  CHECK(checked(w, "r", 1).seeds == "7-7,0-10:10%10");
}

TEST_CASE("heterogeneous jobs are refused with the reason") {
  for (const char* text : {"2:1", "1,2", "1+1"}) {
    JobWords w = words();
    w.nodes = text;
    CHECK_THROWS_WITH(checked(w, "r", 1), Contains("heterogeneous job") && Contains("MPI world of its own"));
    w = words(), w.ranks_per_node = text;
    CHECK_THROWS_WITH(checked(w, "r", 1), Contains("heterogeneous job"));
  }
  JobWords w = words();
  w.nodes = "0";
  CHECK_THROWS_WITH(checked(w, "r", 1), Contains("--nodes '0'"));
}

TEST_CASE("min-ranks are whole nodes") {
  JobWords w = words();
  w.min_ranks = 4;
  CHECK(checked(w, "r", 1).least_nodes == 1);
  CHECK(checked(words(), "r", 1).least_nodes == 2);
  for (const int wrong : {1, 3, 12}) {
    w.min_ranks = wrong;
    CHECK_THROWS_WITH(checked(w, "r", 1), Contains("multiple of 4 up to 8"));
  }
}
