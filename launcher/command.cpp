#include <chorale/launcher/command.hpp>

#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

namespace {

int run_version(std::span<const std::string> arguments) {
  const bool json = arguments.size() == 1 && arguments[0] == "--json";
  if (!arguments.empty() && !json) throw UsageError("version takes --json only, got '" + arguments[0] + "'");
  std::printf(json ? "{\"name\": \"chorale\", \"version\": \"%s\"}\n" : "chorale %s\n", CHORALE_VERSION);
  return 0;
}

std::string version_options() { return "  --json                             switch   One object.\n"; }

int run_completion(std::span<const std::string> arguments) {
  if (arguments.size() != 1 || arguments[0] != "bash") throw UsageError("completion knows one shell: chorale completion bash");
  std::string words;
  for (const Command& command : commands()) words += command.name + " ";
  std::printf(
      "_chorale() {\n  local cur=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W \"%s\" -- "
      "\"$cur\"))\n"
      "  elif [[ $cur == -* ]]; then\n    COMPREPLY=($(compgen -W \"$(\"${COMP_WORDS[0]}\" help \"${COMP_WORDS[1]}\" | grep -oE -- "
      "'--[a-z_.-]+' | sort -u)\" -- "
      "\"$cur\"))\n  else\n    COMPREPLY=($(compgen -f -- \"$cur\"))\n  fi\n}\ncomplete -o filenames -F _chorale chorale\n",
      words.c_str());
  return 0;
}

std::string no_options() { return ""; }

void print_help(const Command& command) {
  std::printf("usage: chorale %s %s\n\n%s\n%s", command.name.c_str(), command.usage.c_str(), command.help.c_str(),
              command.options().c_str());
}

}  // namespace

std::string help_options() { return ""; }

int run_help(std::span<const std::string> arguments) {
  if (!arguments.empty() && arguments[0] == "recipe") {
    Registry registry;
    register_all(registry);
    Settings settings;
    OptionTable table;
    describe(table, settings, registry);
    const bool markdown = arguments.size() == 2 && arguments[1] == "--markdown";
    std::fputs((markdown ? help_markdown(table) : help_text(table)).c_str(), stdout);
    return 0;
  }
  if (!arguments.empty()) {
    for (const Command& command : commands())
      if (command.name == arguments[0]) return print_help(command), 0;
    throw UsageError("command '" + arguments[0] + "' is unknown; see chorale help");
  }
  std::puts("usage: chorale COMMAND [ARGUMENTS]\n");
  for (const Command& command : commands()) std::printf("  %-11s %s\n", command.name.c_str(), command.help.c_str());
  std::puts("\nchorale help COMMAND lists its options, chorale help recipe every key of a recipe.");
  return 0;
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      {"train", "RECIPE.ini [-n RANKS] [--run-dir DIR] [--resume] [--section.key VALUE ...]",
       "Trains a model from a recipe, on one rank or many.", run_train, train_options},
      {"eval", "RUN [--file F] [--part test] [--json]", "Scores a trained run on a part of its data or on another file.", run_eval,
       eval_options},
      {"predict", "RUN --file F --out OUT.csv", "Adds predictions to the rows of a file.", run_predict, predict_options},
      {"inspect", "RUN | CHECKPOINT | RECIPE [--json]", "Shows a model's layers, tensors and hashes, or what a recipe says.", run_inspect,
       inspect_options},
      {"data", "shop | features | describe FILE [OPTIONS]", "Makes example data or describes a file.", run_data, data_options},
      {"bench", "step [--layers \"...\"] [-n RANKS] [--json] | comm [--op all_reduce] [--sizes 4:256M] [-n RANKS] [--peer mpi] [--json]",
       "Measures training steps on generated tensors, or collectives.", run_bench, bench_options},
      {"doctor", "[--json]", "Says what this machine has and what a run would use.", run_doctor, doctor_options},
      {"version", "[--json]", "Prints the version.", run_version, version_options},
      {"completion", "bash", "Prints completion for a shell: source <(chorale completion bash).", run_completion, no_options},
      {"help", "[COMMAND | recipe [--markdown]]", "Lists the commands, or one command's options.", run_help, help_options}};
  return all;
}

}  // namespace chorale
