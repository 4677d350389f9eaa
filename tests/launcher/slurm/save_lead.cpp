#include <catch2/catch.hpp>

#include <sys/stat.h>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/slurm/save_lead.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;
using Catch::Contains;

TEST_CASE("the lead is three minutes where nothing was measured, and says so") {
  const tests::Folder folder;
  const SaveLead lead = save_lead(folder.path / "run", "recipe");
  CHECK(lead.seconds == 180);
  CHECK_THAT(lead.reason, Contains("no earlier run"));
}

TEST_CASE("the lead follows the slowest save, evaluation and step of an earlier run") {
  const tests::Folder folder;
  folder.write("recipe-20260101-000000/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":500,\"write_ms\":999500}\n");
  folder.write("recipe-20260102-000000/metrics.jsonl",
               "{\"event\":\"checkpoint\",\"pause_ms\":500,\"write_ms\":1500}\n{\"event\":\"checkpoint\",\"pause_ms\":500,\"write_ms\":"
               "41000}\n{\"event\":\"evaluation\",\"seconds\":20}\n"
               "{\"event\":\"step\",\"step_ms\":2500}\nnot json\n{\"event\":\"checkpoint\",\"write_ms\":\"9999000\"}\n{\"event\":\"chec");
  folder.write("other-20260103-000000/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":500,\"write_ms\":500}\n");
  const SaveLead lead = save_lead(folder.path / "run", "recipe");
  CHECK(lead.seconds == 30 + 150);  // 3 x 41.5 + 20 + 2 x 2.5 = 149.5
  CHECK_THAT(lead.reason, Contains("recipe-20260102"));
  folder.write("run/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":5,\"write_ms\":5}\n");  // its own counts before others'
  CHECK(save_lead(folder.path / "run", "recipe").seconds == 60);
}

TEST_CASE("the lead of an array is that of its slowest seed") {
  const tests::Folder folder;
  folder.write("run/seed_1/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":0,\"write_ms\":20000}\n");
  folder.write("run/seed_2/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":0,\"write_ms\":90000}\n");
  folder.write("run/seed_10/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":0,\"write_ms\":10}\n");
  const SaveLead lead = save_lead(folder.path / "run", "recipe");
  CHECK(lead.seconds == 30 + 270);
  CHECK_THAT(lead.reason, Contains("90.00 s"));
}

TEST_CASE("files beside a run that others have made neither hold up nor refuse a submit") {
  const tests::Folder folder;
  folder.write("recipe-1/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":0,\"write_ms\":50000}\n");
  folder.write("recipe-2\n#SBATCH x/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":0,\"write_ms\":1}\n");
  std::filesystem::create_directory(folder.path / "recipe-3");
  REQUIRE(::mkfifo((folder.path / "recipe-3/metrics.jsonl").c_str(), 0600) == 0);
  const SaveLead lead = save_lead(folder.path / "run", "recipe");
  CHECK(lead.seconds == 30 + 150);
  CHECK_THAT(lead.reason, Contains("recipe-1"));
  folder.write("run/metrics.jsonl", "{\"event\":\"checkpoint\",\"pause_ms\":-1e300,\"write_ms\":1e300}\n");
  CHECK(save_lead(folder.path / "run", "recipe").seconds == 65535);
}

TEST_CASE("a time limit that leaves no time to train is refused with the least that does") {
  const SaveLead lead = {.seconds = 180, .reason = "measured"};
  CHECK_NOTHROW(check_time_limit(300, lead));
  CHECK_THROWS_WITH(check_time_limit(299, lead), Contains("180 s before") && Contains("measured") && Contains("0-00:05:00"));
}
