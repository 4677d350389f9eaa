// The job of Slurm that this process is in, and what of its environment is that job's alone.
#pragma once
#include <string>
#include <string_view>

namespace chorale {

/// "12"; of an array "12_3", as only that form means one task: the last one has the array's own number. Empty outside. sbatch hands its
/// environment on, so an array's number may be that of a job that ours was submitted from: one that is above our own job's is not ours.
std::string own_job();

/// The cluster whose number that is, SLURM_CLUSTER_NAME; empty where Slurm has not said it.
std::string own_cluster();

/// Whether a job submitted from here gets this variable of ours. Inside a job not what Slurm and MPI have told us of it and of our place in
/// it; SLURM_CONF and what else is a setting of Slurm's commands it gets, and all variables of other names.
bool is_for_new_job(std::string_view name);

}  // namespace chorale
