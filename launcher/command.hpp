// A subcommand of the program: what `chorale help` lists and main calls.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace chorale {

struct Command {
  std::string name;
  std::string usage;                                   // what follows the name
  std::string help;                                    // one sentence
  std::string next;                                    // the words that may follow the name, where these are few
  int (*run)(std::span<const std::string> arguments);  // the exit code; throws Error
  std::string (*options)();                            // the option table for --help
};

/// Every command, in the order of the help.
const std::vector<Command>& commands();

/// Throws UsageError with the nearest name.
const Command& find_command(const std::string& name);

// One file each.
int run_train(std::span<const std::string> arguments);
int run_eval(std::span<const std::string> arguments);
int run_predict(std::span<const std::string> arguments);
int run_generate(std::span<const std::string> arguments);
int run_inspect(std::span<const std::string> arguments);
int run_checkpoint(std::span<const std::string> arguments);
int run_data(std::span<const std::string> arguments);
int run_bench(std::span<const std::string> arguments);
int run_scale(std::span<const std::string> arguments);
int run_collab(std::span<const std::string> arguments);
int run_doctor(std::span<const std::string> arguments);
int run_submit(std::span<const std::string> arguments);
int run_compare(std::span<const std::string> arguments);
int run_cv(std::span<const std::string> arguments);
int run_run_status(std::span<const std::string> arguments);
int run_completion(std::span<const std::string> arguments);
int run_help(std::span<const std::string> arguments);
std::string train_options();
std::string eval_options();
std::string predict_options();
std::string generate_options();
std::string inspect_options();
std::string checkpoint_options();
std::string data_options();
std::string bench_options();
std::string scale_options();
std::string collab_options();
std::string doctor_options();
std::string submit_options();
std::string compare_options();
std::string cv_options();
std::string status_options();
std::string help_options();

}  // namespace chorale
