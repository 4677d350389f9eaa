// All findings of one visit to the doctor, for people and for programs.
#pragma once
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct DoctorReport {
  std::vector<Finding> findings = {};
  int ranks = 1;
  std::string launcher = {};  // who started the ranks: "mpirun", "srun", "threads", "outer launcher"
  double seconds = 0;         // the visit took

  bool is_ok() const;  // nothing failed
  /// 0, or the code of the first failure.
  int code() const;
  std::string text() const;
  /// Fields in docs/doctor.md.
  std::string json() const;
};

const char* name_of(Finding::State state);

}  // namespace chorale
