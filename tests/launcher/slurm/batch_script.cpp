// The script is run by bash with stand-ins for Slurm's commands, which write down their words.
#include <catch2/catch.hpp>

#include <cstdlib>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/slurm/batch_script.hpp>
#include <chorale/launcher/slurm/program_call.hpp>
#include <chorale/launcher/slurm/shell_word.hpp>
#include <chorale/tests/launcher/slurm/folder.hpp>

using namespace chorale;
using Catch::Contains;

namespace {

const char* kHostile = "it's a \"run\" $(touch pwned) `touch pwned` ; touch pwned #SBATCH --time=1 \\ * $HOME";

JobRequest request() {
  JobRequest job;
  job.name = "shoppers", job.nodes = job.least_nodes = 2, job.ranks_per_node = 4, job.seconds = 4 * 3600;
  return job;
}

/// A cluster of stand-ins in `bin`; `srun` does `train` when it is to train.
struct Stage {
  tests::Folder folder;
  std::string run = (folder.path / kHostile).string(), state = "RUNNING", train = "exit 0", probe = "exit 0";
  JobRequest job = request();

  void program(const std::string& name, const std::string& text) const {
    folder.write("bin/" + name, "#!/bin/bash\nfor w in \"$@\"; do printf '%s|' \"$w\"; done >>'" + folder.path.string() + "/said." + name +
                                    "'\necho >>'" + folder.path.string() + "/said." + name + "'\n" + text + "\n");
    std::filesystem::permissions(folder.path / ("bin/" + name), std::filesystem::perms::owner_all);
  }
  ProgramAnswer play(const std::string& restarts = "0", const std::vector<std::string>& more = {}) const {
    const std::string starts = "case \" $* \" in *' bench '*) " + probe + ";; *) " + train + ";; esac";
    program("srun", starts);
    program("mpirun", "case \" $* \" in *' bench '*) exit 0;; *) " + train + ";; esac");
    program("squeue", "echo " + state);
    program("scontrol", "exit 0");
    folder.write("job.sh", batch_script(job, {.seconds = 90, .reason = "measured"}, {.run = run, .program = "/opt/a b/chorale"}));
    std::vector<std::string> words = {"env",
                                      "PATH=" + (folder.path / "bin").string() + ":/usr/bin:/bin",
                                      "SLURM_JOB_ID=7",
                                      "SLURM_JOB_NUM_NODES=2",
                                      "SLURM_JOB_NODELIST=n[1-2]",
                                      "SLURM_RESTART_COUNT=" + restarts};
    words.insert(words.end(), more.begin(), more.end());
    words.insert(words.end(), {"bash", (folder.path / "job.sh").string()});
    const auto answer = call_program(words, folder.path.string(), std::chrono::seconds(20));
    REQUIRE(answer);
    INFO(answer->output << answer->messages);
    CHECK(answer->messages == "");
    return *answer;
  }
};

std::string verdict(int code) {
  return "echo '{\"time\":\"t\",\"attempt\":1,\"event\":\"end\",\"rank\":null,\"where\":\"\",\"step\":3,\"code\":" + std::to_string(code) +
         ",\"cause\":\"said \\\"code\\\":5,\"}' >>events.jsonl; exit 143";
}

}  // namespace

TEST_CASE("a quoted word is read back by a shell as it was, whatever it holds") {
  for (const std::string& text :
       {std::string(kHostile), std::string("'"), std::string("''\\''"), std::string("!$@{}[]()<>&|~\xc3\xa9"), std::string()}) {
    const auto answer = call_program({"bash", "-c", "printf %s " + shell_word("it", text)}, "", std::chrono::seconds(10));
    REQUIRE(answer);
    CHECK(answer->output == text);
  }
  for (const char* text : {"a\nb", "a\rb", "\x1b[2J", "a\tb", "\x7f"})
    CHECK_THROWS_WITH(shell_word("the path", text), Contains("the path") && Contains("control characters"));
}

TEST_CASE("a hostile folder reaches the ranks as one word and runs nothing") {
  const Stage stage;
  const ProgramAnswer answer = stage.play();
  CHECK(answer.code == 0);
  CHECK_THAT(stage.folder.read("said.srun"), Contains("--mpi=pmix|-K1|--nodes=2|--ntasks=8|--ntasks-per-node=4|/opt/a b/chorale|train|" +
                                                      stage.run + "/job.ini|--run-dir|" + stage.run + "|--resume|\n"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(stage.folder.path)) CHECK(entry.path().filename() != "pwned");
}

TEST_CASE("lines for Slurm say what was asked and nothing else") {
  JobRequest job = request();
  const auto lines = [&] {
    const std::string text = batch_script(job, {.seconds = 90, .reason = "measured"}, {.run = kHostile, .program = kHostile});
    std::string out;
    std::istringstream in(text);
    for (std::string line; std::getline(in, line);)
      if (line.starts_with("#SBATCH")) out += line.substr(8) + " ";
    return out;
  };
  CHECK(
      lines() ==
      "--job-name=shoppers --nodes=2 --ntasks-per-node=4 --cpus-per-task=1 --time=0-04:00:00 --signal=USR2@90 --requeue --open-mode=append "
      "--output=slurm-%j.out ");
  job.min_ranks = 4, job.least_nodes = 1, job.partition = "p", job.account = "a", job.seeds = "1-5";
  CHECK_THAT(lines(), Contains("--nodes=1-2 --mincpus=4 --cpus-per-task=1 ") && Contains("--no-kill ") && Contains("--partition=p ") &&
                          Contains("--account=a ") && Contains("--array=1-5 ") && Contains("--output=slurm-%A_%a.out"));
}

TEST_CASE("a job is queued again when its ranks have saved, and only while Slurm says that it runs") {
  Stage stage;
  stage.train = verdict(99);
  CHECK(stage.play().code == 99);
  CHECK_THAT(stage.folder.read("said.scontrol"), Contains("requeue|7|"));
  for (const char* state : {"CANCELLED", "TIMEOUT", "COMPLETING", ""}) {
    Stage over;
    over.train = verdict(99), over.state = state;
    CHECK(over.play().code == 99);
    CHECK(over.folder.read("said.scontrol") == "");
  }
}

TEST_CASE("ranks that never began are started again at once, and those that did are not") {
  const auto starts = [](const Stage& stage) {
    const std::string said = stage.folder.read("said.srun");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = said.find("|train|", at)) != std::string::npos; ++at) ++count;
    return count;
  };
  Stage refused;
  refused.train = "[ -e \"$PWD/once\" ] || { touch \"$PWD/once\"; exit 137; }; " + verdict(0);
  CHECK(refused.play().code == 0);
  CHECK(starts(refused) == 2);
  CHECK(refused.folder.read("said.scontrol") == "");
  Stage always;
  always.train = "exit 137";
  CHECK(always.play().code == 137);
  CHECK(starts(always) == 5);
  CHECK_THAT(always.folder.read("said.scontrol"), Contains("requeue|7|"));
  Stage begun;
  begun.train = "echo '{\"attempt\":1,\"event\":\"start\",\"code\":null,\"cause\":\"\"}' >>events.jsonl; exit 137";
  CHECK(begun.play().code == 137);
  CHECK(starts(begun) == 1);
  Stage cancelled;
  cancelled.train = "exit 143", cancelled.state = "CANCELLED";
  CHECK(cancelled.play().code == 143);
  CHECK(starts(cancelled) == 1);
}

TEST_CASE("the verdict counts, not the launcher's code, and not the verdict of an earlier attempt") {
  for (const int code : {0, 64, 65, 66, 70, 74, 76, 130}) {
    Stage stage;
    stage.train = verdict(code);
    CHECK(stage.play().code == code);
    CHECK(stage.folder.read("said.scontrol") == "");
  }
  Stage stage;
  stage.folder.write(std::string(kHostile) + "/events.jsonl",
                     "{\"attempt\":1,\"event\":\"end\",\"step\":3,\"code\":99,\"cause\":\"checkpointed\"}\n");
  stage.train = "exit 64";
  CHECK(stage.play().code == 64);
  CHECK(stage.folder.read("said.scontrol") == "");
  // Written by this start for the one before, which had been lost.
  stage.train =
      "echo '{\"attempt\":1,\"event\":\"end\",\"code\":75,\"cause\":\"no end was recorded\"}' >>events.jsonl; "
      "echo '{\"attempt\":2,\"event\":\"start\",\"code\":null,\"cause\":\"\"}' >>events.jsonl; exit 64";
  CHECK(stage.play().code == 64);
}

TEST_CASE("lost ranks queue a job again, three times where no checkpoint is made") {
  for (const auto& [restarts, makes, again] :
       std::vector<std::tuple<std::string, bool, bool>>{{"0", false, true}, {"3", false, false}, {"3", true, true}}) {
    Stage stage;
    stage.train = (makes ? "mkdir -p checkpoints/step_10; " : "") + std::string("exit 137");
    CHECK(stage.play(restarts).code == 137);
    CHECK((stage.folder.read("said.scontrol") != "") == again);
  }
  Stage stage;
  stage.train = "exit 1";  // so does MPI end those that cannot start
  CHECK(stage.play().code == 1);
  CHECK_THAT(stage.folder.read("said.scontrol"), Contains("requeue|7|"));
}

TEST_CASE("a run of an array names itself alone, in a folder and with a seed of its own") {
  Stage stage;
  stage.job.seeds = "1-5", stage.train = verdict(99);
  CHECK(stage.play("0", {"SLURM_ARRAY_JOB_ID=7", "SLURM_ARRAY_TASK_ID=5"}).code == 99);
  CHECK_THAT(stage.folder.read("said.scontrol"), Contains("requeue|7_5|"));
  CHECK_THAT(stage.folder.read("said.squeue"), Contains("-j|7_5|"));
  CHECK_THAT(stage.folder.read("said.srun"), Contains(stage.run + "/job.ini|--run-dir|" + stage.run + "/seed_5|--resume|--train.seed|5|"));
}

TEST_CASE("what an outer job has left in the environment is not taken for the job's own") {
  Stage stage;
  stage.train = "env >\"" + stage.folder.path.string() + "/seen\"; " + verdict(99);
  CHECK(stage.play("2", {"SLURM_ARRAY_JOB_ID=3", "SLURM_ARRAY_TASK_ID=5", "SLURM_HET_SIZE=2", "SLURM_JOB_ID_HET_GROUP_0=4"}).code == 99);
  CHECK_THAT(stage.folder.read("said.scontrol"), Contains("requeue|7|"));
  CHECK_THAT(stage.folder.read("said.squeue"), Contains("-j|7|") && !Contains("3_5"));
  CHECK_THAT(stage.folder.read("seen"), !Contains("SLURM_ARRAY_") && !Contains("SLURM_HET_"));
  Stage counted;  // Slurm's own count of restarts, which it hands to the job only when there were some
  counted.train = "env >\"" + counted.folder.path.string() + "/seen\"; exit 0";
  counted.state = "$(case \" $* \" in *' RestartCnt '*) echo '  1 ';; *) echo RUNNING;; esac)";
  CHECK(counted.play("3").code == 0);
  CHECK_THAT(counted.folder.read("seen"), Contains("SLURM_RESTART_COUNT=1\n"));
}

TEST_CASE("what a job writes is its owner's, and the group's to read") {
  Stage stage;
  stage.train = "echo x >of_train; " + verdict(0);
  CHECK(stage.play().code == 0);
  using std::filesystem::perms;
  CHECK(std::filesystem::status(stage.run).permissions() == (perms::owner_all | perms::group_read | perms::group_exec));
  CHECK(std::filesystem::status(stage.run + "/of_train").permissions() == (perms::owner_read | perms::owner_write | perms::group_read));
}

TEST_CASE("where srun brings no ranks together mpirun is taken and the output says so") {
  Stage stage;
  stage.probe = "echo no pmix; exit 1";
  const ProgramAnswer answer = stage.play();
  CHECK(answer.code == 0);
  CHECK_THAT(answer.output, Contains("no pmix") && Contains("ranks are started by mpirun"));
  CHECK_THAT(stage.folder.read("said.mpirun"), Contains("ras_base_launch_orted_on_hn|1|/opt/a b/chorale|train|"));
}

TEST_CASE("a part of a heterogeneous job ends before anything is started") {
  const Stage stage;
  const std::string script = batch_script(stage.job, {}, {.run = stage.run, .program = "/opt/chorale"});
  stage.folder.write("job.sh", script);
  const auto answer =
      call_program({"env", "SLURM_HET_SIZE=2", "bash", (stage.folder.path / "job.sh").string()}, "", std::chrono::seconds(10));
  REQUIRE(answer);
  CHECK(answer->code == 64);
  CHECK_THAT(answer->messages, Contains("heterogeneous"));
}
