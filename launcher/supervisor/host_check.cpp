#include <chorale/launcher/supervisor/host_check.hpp>

#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include <chorale/comm/control/connection.hpp>
#include <chorale/core/base/build_id.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/launcher/spawn/child.hpp>
#include <chorale/core/base/private_folder.hpp>

namespace chorale {

namespace {

std::vector<std::string> agent_words() {
  const char* setting = std::getenv("OMPI_MCA_plm_rsh_agent");
  std::istringstream text(setting ? setting : "ssh -o BatchMode=yes -o ConnectTimeout=8");
  std::vector<std::string> out;
  for (std::string word; text >> word;) out.push_back(word);
  return out;
}

struct Asked {
  Host host;
  pid_t child = -1;
  int status = 0;
  bool has_ended = false;
  std::string output = {}, messages = {};  // files
};

std::string first_line(const std::string& path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line);
  std::erase_if(line, [](char c) { return static_cast<unsigned char>(c) < 32; });
  return line.substr(0, 200);
}

std::string trouble_of(const Asked& asked, std::chrono::milliseconds limit, const Elsewhere& elsewhere) {
  if (!asked.has_ended) return fmt::format("does not answer within {} s", limit.count() / 1000);
  const std::string said = first_line(asked.output), complained = first_line(asked.messages);
  constexpr int kNoWay = 255;  // how ssh says that it is its own trouble
  if (WIFEXITED(asked.status) && WEXITSTATUS(asked.status) == kNoWay && !complained.empty()) return "does not answer: " + complained;
  if (!WIFEXITED(asked.status) || WEXITSTATUS(asked.status) != 0)
    return "does not run this program: " + (!complained.empty()        ? complained
                                            : elsewhere.prefix.empty() ? "no word from it"
                                                                       : "there is no " + elsewhere.prefix + "/bin/orted (--prefix)");
  const auto json = nlohmann::json::parse(said, nullptr, false);
  const std::string build = json.is_object() ? json.value("build", "") : "";
  return build == build_id()
             ? ""
             : fmt::format("has another build of this program: {} there, {} here", build.empty() ? said : build, build_id());
}

}  // namespace

std::string quoted(const std::string& word) {
  std::string out = "'";
  for (const char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

/// In words that Bourne and C shells read alike.
std::string host_question(const std::string& program, const Elsewhere& elsewhere) {
  const std::string& prefix = elsewhere.prefix;
  std::string out;
  if (!prefix.empty()) out = "test -x " + quoted(prefix + "/bin/orted") + " && ";
  out += "env";
  for (const std::string& name : handed_on(elsewhere)) {
    std::string value = std::getenv(name.c_str());
    if (!prefix.empty() && name == "PATH") value = prefix + "/bin:" + value;
    if (!prefix.empty() && name == "LD_LIBRARY_PATH") value = prefix + "/lib:" + value;
    out += " " + name + "=" + chorale::quoted(value);
  }
  if (!prefix.empty() && !std::getenv("LD_LIBRARY_PATH")) out += " LD_LIBRARY_PATH=" + quoted(prefix + "/lib");
  return out + " " + quoted(program) + " version --json";
}

std::vector<HostAnswer> ask_hosts(const std::vector<Host>& hosts, std::chrono::milliseconds limit, const Elsewhere& elsewhere) {
  const PrivateFolder folder;
  std::vector<Asked> all;
  const std::string ask = host_question(std::filesystem::read_symlink("/proc/self/exe").string(), elsewhere);
  for (const Host& host : hosts) {
    Asked asked = {.host = host, .output = folder.path() + "/" + host.name + ".out", .messages = folder.path() + "/" + host.name + ".err"};
    std::vector<std::string> words = agent_words();
    words.insert(words.end(), {host.name, ask});
    asked.child = host.name == host_name() ? start_child({std::filesystem::read_symlink("/proc/self/exe").string(), "version", "--json"},
                                                         {asked.output, asked.messages})
                                           : start_child(words, {asked.output, asked.messages});
    all.push_back(asked);
  }
  const auto until = std::chrono::steady_clock::now() + limit;
  std::vector<HostAnswer> out;
  for (Asked& asked : all) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    asked.has_ended = ended_within(asked.child, std::max(left, std::chrono::milliseconds(0)), asked.status);
    if (!asked.has_ended) ::kill(-asked.child, SIGKILL), ended_within(asked.child, std::chrono::seconds(1), asked.status);
    out.push_back({asked.host, trouble_of(asked, limit, elsewhere)});
  }
  return out;
}

std::vector<Host> usable_hosts(const std::vector<HostAnswer>& answers, int min_ranks, std::vector<std::string>& left_out) {
  std::vector<Host> out;
  std::string first;
  for (const HostAnswer& answer : answers) {
    const std::string text = "host " + answer.host.name + " " + answer.trouble;
    if (answer.trouble.empty()) {
      out.push_back(answer.host);
      continue;
    }
    if (answer.trouble.starts_with("has another build")) throw UsageError("--hosts: " + text + "; install one build on all hosts");
    if (first.empty()) first = text;
    left_out.push_back(text);
  }
  if (!first.empty() && (min_ranks == 0 || ranks_on(out) < min_ranks))
    throw CommError(-1, "hosts", 0,
                    "--hosts: " + first + "; " +
                        (min_ranks == 0 ? "leave it out, or allow to go on without it by --min-ranks M"
                                        : fmt::format("the other hosts have {} ranks, --min-ranks asks for {}", ranks_on(out), min_ranks)));
  return out;
}

}  // namespace chorale
