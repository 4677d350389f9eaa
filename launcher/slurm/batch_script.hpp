// The batch script of a job: what Slurm is asked for, how the ranks are started, and what happens when they end.
#pragma once
#include <string>

#include <chorale/launcher/slurm/job_request.hpp>
#include <chorale/launcher/slurm/save_lead.hpp>

namespace chorale {

struct ScriptPaths {
  std::string run;      // absolute; the script and its recipe lie there as job.sh and job.ini
  std::string program;  // absolute
};

/// Lines for Slurm hold checked names and numbers only; paths stand in the body, quoted. Throws UsageError for a path with control
/// characters.
std::string batch_script(const JobRequest& job, const SaveLead& lead, const ScriptPaths& paths);

}  // namespace chorale
