// Slurm's commands as scripts of a test, first on PATH, and variables of the environment for as long as a test lasts.
#pragma once
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include <chorale/tests/launcher/slurm/folder.hpp>

namespace chorale::tests {

class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* old = std::getenv(name)) old_ = old;
    ::setenv(name, value.c_str(), 1);
  }
  ~Variable() { old_ ? ::setenv(name_, old_->c_str(), 1) : ::unsetenv(name_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::optional<std::string> old_;
};

struct StandIns {
  Folder folder;
  Variable path{"PATH", (folder.path / "bin").string() + ":/usr/bin:/bin"};
  void program(const std::string& name, const std::string& text) const {
    folder.write("bin/" + name, "#!/bin/bash\n" + text + "\n");
    std::filesystem::permissions(folder.path / ("bin/" + name), std::filesystem::perms::owner_all);
  }
  void cluster(const std::string& name) const {
    program("scontrol", "printf 'Configuration data\\nClusterName             = " + name + "\\n'");
  }
  /// squeue's answer for every job.
  void state(const std::string& word) const { program("squeue", "echo '" + word + "'"); }
  void no_such_job() const { program("squeue", "echo 'slurm_load_jobs error: Invalid job id specified' >&2; exit 1"); }
};

}  // namespace chorale::tests
