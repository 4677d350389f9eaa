// The programs and libraries that start ranks, as they name themselves. Programs are asked all at once, each with a limit and no shell.
#pragma once
#include <chrono>
#include <set>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct ToolAnswer {
  std::string path = {};  // in PATH; empty: it is not there
  bool has_answered = false;
  int code = 0;
  std::string text = {};  // output and messages
};

/// What was asked, in its order.
class ToolQuestions {
 public:
  /// Starts the programs that are in PATH; `folder`: for their output.
  ToolQuestions(std::vector<std::vector<std::string>> questions, const std::string& folder);
  /// Ends those that have not answered within `limit` from the start.
  std::vector<ToolAnswer> answers(std::chrono::milliseconds limit);

 private:
  struct Asked {
    std::string path, output, messages;
    int child = -1;
  };
  std::vector<Asked> asked_;
  std::chrono::steady_clock::time_point start_;
};

/// Files of libraries that are loaded into this process and whose names start so, links resolved.
std::set<std::string> loaded_libraries(const std::string& name);

/// Which MPI a version text is of, and its number.
struct MpiKind {
  std::string name = {}, version = {};  // "Open MPI", "4.1.4"; name empty: unknown
};
MpiKind mpi_kind_of(const std::string& text);

struct LinkedMpi {
  std::string library = {}, file = {};  // "Open MPI v4.1.4, ...", where it lies
};

struct Wanted {
  bool mpirun = false, srun = false;  // ranks are to be started by it
  bool is_job = false;                // of Slurm
};

Finding judge_mpi(const LinkedMpi& linked, const ToolAnswer& mpirun, const Wanted& wanted);
/// pmix: "OpenPMIx 4.2.2 ..."; files: of libpmix, loaded. plugins: srun's answer to --mpi=list.
Finding judge_pmix(const std::string& pmix, const std::set<std::string>& files);
Finding judge_slurm(const ToolAnswer& srun, const ToolAnswer& plugins, const Wanted& wanted);
Finding judge_gnuplot(const ToolAnswer& gnuplot);

}  // namespace chorale
