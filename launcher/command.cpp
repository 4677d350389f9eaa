#include <chorale/launcher/command.hpp>

#include <cstdio>

#include <chorale/core/base/build_id.hpp>
#include <chorale/core/base/error.hpp>
#include <chorale/core/base/registry.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/recipe_settings.hpp>

namespace chorale {

namespace {

int run_version(std::span<const std::string> arguments) {
  std::printf(JsonTable().read(arguments) ? "{\"name\": \"chorale\", \"version\": \"%s\", \"build\": \"%s\"}\n" : "chorale %s\n",
              CHORALE_VERSION, build_id().c_str());
  return 0;
}

std::string version_options() { return JsonTable().help(); }

std::string no_options() { return ""; }

void describe_help(OptionTable& table, bool& markdown) { table.add("markdown", markdown, "The keys of a recipe as a page of Markdown."); }

void print_help(const Command& command) {
  std::printf("usage: chorale %s %s\n\n%s\n%s", command.name.c_str(), command.usage.c_str(), command.help.c_str(),
              command.options().c_str());
}

}  // namespace

std::string help_options() {
  bool markdown = false;
  OptionTable table;
  describe_help(table, markdown);
  return help_text(table);
}

int run_help(std::span<const std::string> arguments) {
  bool markdown = false;
  OptionTable flags;
  describe_help(flags, markdown);
  const std::vector<std::string> rest = read_flags(arguments, flags, 1);
  const bool recipe = !rest.empty() && rest[0] == "recipe";
  if (markdown && !recipe) throw UsageError("--markdown is for the keys of a recipe: chorale help recipe --markdown");
  if (recipe) {
    const RecipeTable keys;
    std::fputs((markdown ? help_markdown(keys.table) : help_text(keys.table)).c_str(), stdout);
    return 0;
  }
  if (!rest.empty()) return print_help(find_command(rest[0])), 0;
  std::puts("usage: chorale COMMAND [ARGUMENTS]\n");
  for (const Command& command : commands()) std::printf("  %-11s %s\n", command.name.c_str(), command.help.c_str());
  std::puts("\nchorale help COMMAND lists its options, chorale help recipe every key of a recipe.");
  return 0;
}

const Command& find_command(const std::string& name) {
  std::vector<std::string> names;
  for (const Command& command : commands()) {
    if (command.name == name) return command;
    names.push_back(command.name);
  }
  const std::string near = nearest_name(name, names);
  throw UsageError("command '" + name + "' is unknown; " + (near.empty() ? "see chorale help" : "did you mean '" + near + "'?"));
}

const std::vector<Command>& commands() {
  static const std::vector<Command> all = {
      {"train", "RECIPE.ini [-n RANKS] [--run-dir DIR] [--resume] [--section.key VALUE ...]",
       "Trains a model from a recipe, on one rank or many.", "", run_train, train_options},
      {"collab", "train RECIPE.ini [-n RANKS] [--run-dir DIR] | study RECIPE.ini [-n RANKS] [--seeds 10] [--arms ...] [--labels 100,all]",
       "Trains several tasks on ranks of their own that share representations of what they have in common, or studies whether that helps.",
       "train study", run_collab, collab_options},
      {"submit",
       "RECIPE.ini --time 04:00:00 [--nodes 2] [--ranks-per-node 4] [--run-dir DIR] [--array seeds=1-5] [--dry-run] [--section.key VALUE "
       "...]",
       "Trains a recipe as a job of Slurm that saves itself before its time limit and goes on.", "", run_submit, submit_options},
      {"status", "RUN [--json]", "Says how far a run is, from any machine that sees its folder.", "", run_run_status, status_options},
      {"cv", "RECIPE.ini [--folds 5] [-n RANKS] [--out FOLDER] [--section.key VALUE ...]",
       "Trains with each of several parts held out as test rows, and gives the mean of their scores.", "", run_cv, cv_options},
      {"compare", "RUN RUN ... [--part test] [--metric M] [--out FOLDER] [--json]",
       "Holds runs against each other: settings with their seeds as a table and a picture, paired by seed, with intervals.", "",
       run_compare, compare_options},
      {"eval", "RUN [--file F] [--part test] [--json]", "Scores a trained run on a part of its data or on another file.", "", run_eval,
       eval_options},
      {"predict", "RUN --file F --out OUT.csv", "Adds predictions to the rows of a file.", "", run_predict, predict_options},
      {"generate", "RUN --prompt TEXT [--tokens 500] [--temperature 1] [--top-k 0] [--seed 1]",
       "Goes on with a text, token by token, as a model of text would.", "", run_generate, generate_options},
      {"inspect", "RUN | CHECKPOINT | RECIPE [--json] [--verify]", "Shows a model's layers, tensors and hashes, and what its data are.", "",
       run_inspect, inspect_options},
      {"checkpoint", "list RUN | verify RUN | prune RUN [--keep-last N] | convert RUN --out FILE.safetensors",
       "Lists, checks, removes and converts checkpoints.", "list verify prune convert", run_checkpoint, checkpoint_options},
      {"data", "shop | features | describe FILE [OPTIONS]", "Makes example data or describes a file.", "shop features describe", run_data,
       data_options},
      {"bench",
       "step [--preset mlp | --layers \"...\" --input 100] [-n RANKS] [--json] | comm [--op all_reduce] [--sizes 4:256M] [--peer mpi] [-n "
       "RANKS]",
       "Measures training steps on generated tensors, or collectives.", "step comm", run_bench, bench_options},
      {"scale", "RECIPE.ini | --preset mlp | --layers \"...\" [--ranks 1,2,4] [--mode weak|strong] [--repeat 5]",
       "Measures how steps scale over numbers of ranks.", "", run_scale, scale_options},
      {"doctor", "[-n RANKS] [--hosts a:4,b:4] [--run-dir DIR] [--json]",
       "Checks and measures machine, launcher and network in less than 30 s, and says what to mend.", "", run_doctor, doctor_options},
      {"version", "[--json]", "Prints the version.", "", run_version, version_options},
      {"completion", "bash", "Prints completion for a shell: source <(chorale completion bash).", "bash", run_completion, no_options},
      {"help", "[COMMAND | recipe [--markdown]]", "Lists the commands, or one command's options.",
       "train collab submit status eval predict generate inspect checkpoint data bench scale doctor version completion recipe", run_help,
       help_options}};
  return all;
}

}  // namespace chorale
