// Lists of hosts and what is asked of Slurm. The first word of an input says which: hosts, time, array, name, nodes.
#include <algorithm>
#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/slurm/batch_script.hpp>
#include <chorale/launcher/slurm/job_request.hpp>
#include <chorale/launcher/slurm/time_limit.hpp>
#include <chorale/launcher/supervisor/host_list.hpp>

#include "engine.hpp"

namespace chorale::fuzz {

namespace {

constexpr std::array<std::string_view, 15> kWords = {"hosts ", "time ", "array seeds=", "name ", "nodes ",     "[1-4096]", "[", "]", ",",
                                                     ":",      "-",     "1-1,",         "00000", "\n#SBATCH ", "$(x)"};

void read_hosts(std::string_view text) {
  const std::vector<Host> hosts = parse_hosts(text);
  require(!hosts.empty() && hosts.size() <= 4096 && ranks_on(hosts) <= 65536, "too many hosts");
  for (const Host& host : hosts) {
    require(host.name.size() <= 255 && host.name[0] != '-', "a name is no host's: " + host.name.substr(0, 99));
    require(host.name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") == std::string::npos,
            "a name has marks: " + host.name);
  }
  require(parse_hosts(hosts_text(hosts)) == hosts, "hosts read differently when written out");
}

/// Whatever a text is, it adds no line to the script.
void read_job(JobWords words, const std::string& recipe_name) {
  if (words.time.empty()) words.time = "10";
  const auto lines_of = [](const JobRequest& job) {
    const std::string script = batch_script(job, {}, {.run = "/run", .program = "/chorale"});
    return std::count(script.begin(), script.end(), '\n');
  };
  JobRequest plain;
  plain.seconds = 600;
  const JobRequest job = checked(words, recipe_name, 1);
  const auto more = lines_of(job) - lines_of(plain);
  require(more >= 0 && more <= 3, "a text has added " + std::to_string(more) + " lines to the script");
  require(job.seconds > 0 && seconds_of_time_limit(time_limit_text(job.seconds)) == job.seconds,
          "a time reads differently when written out");
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  const std::string_view what = input.substr(0, input.find(' '));
  const std::string text(input.substr(std::min(input.size(), what.size() + 1)));
  return answer_of<UsageError>([&] {
    JobWords words;
    if (what == "time") words.time = text;
    if (what == "array") words.array = text;
    if (what == "nodes") words.nodes = words.ranks_per_node = text;
    if (what == "name") words.partition = words.account = words.job_name = text;
    if (what == "name") read_job({}, text);
    if (what == "time" || what == "array" || what == "nodes" || what == "name") return read_job(words, "r");
    read_hosts(what == "hosts" ? std::string_view(text) : input);
  });
}

}  // namespace chorale::fuzz
