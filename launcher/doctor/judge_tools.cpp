// Do the MPI that is linked, the launchers in PATH and PMIx belong together?
#include <fmt/format.h>

#include <regex>

#include <chorale/launcher/doctor/tools.hpp>

namespace chorale {

namespace {

/// "4.1" of "4.1.4".
std::string series(const std::string& version) {
  const std::size_t first = version.find('.'), second = version.find('.', first == std::string::npos ? first : first + 1);
  return version.substr(0, second);
}

std::string first_line(const std::string& text) { return text.substr(0, std::min<std::size_t>(text.find_first_of("\r\n"), 120)); }

std::string kind_text(const MpiKind& kind, const std::string& otherwise) {
  return kind.name.empty() ? "unknown (" + first_line(otherwise) + ")" : kind.name + " " + kind.version;
}

Finding without_mpirun(const std::string& linked, const Wanted& wanted) {
  const std::string found = fmt::format("linked with {}; there is no mpirun in PATH", linked);
  const std::string remedy = "apt install openmpi-bin, or put the folder of its mpirun into PATH";
  if (wanted.mpirun) return failed("mpi", ExitCode::comm, found, remedy);
  if (wanted.srun) return ok("mpi", found + "; srun starts the ranks");
  return warning("mpi", found + ": ranks are threads of one process", remedy);
}

}  // namespace

MpiKind mpi_kind_of(const std::string& text) {
  MpiKind out;
  for (const auto& [word, name] :
       {std::pair("Open MPI", "Open MPI"), std::pair("OpenRTE", "Open MPI"), std::pair("prte", "Open MPI"),
        std::pair("Intel(R) MPI", "Intel MPI"), std::pair("MVAPICH", "MVAPICH"), std::pair("HYDRA", "MPICH"), std::pair("MPICH", "MPICH")})
    if (out.name.empty() && text.find(word) != std::string::npos) out.name = name;
  std::smatch found;
  static const std::regex number(R"(\d+\.\d+(\.\d+)?)");
  if (std::regex_search(text, found, number)) out.version = found.str();
  return out;
}

Finding judge_mpi(const LinkedMpi& linked, const ToolAnswer& mpirun, const Wanted& wanted) {
  const MpiKind mine = mpi_kind_of(linked.library);
  const std::string ours = fmt::format("{} ({})", kind_text(mine, linked.library), linked.file);
  if (mpirun.path.empty()) return without_mpirun(ours, wanted);
  if (!mpirun.has_answered)
    return failed("mpi", ExitCode::comm, fmt::format("linked with {}; {} --version does not answer within 3 s", ours, mpirun.path),
                  "find out by hand what it waits for (a wrapper, a slow file system), or put another mpirun first in PATH");
  const MpiKind theirs = mpi_kind_of(mpirun.text);
  const std::string found = fmt::format("linked with {}; {} is of {}", ours, mpirun.path, kind_text(theirs, mpirun.text));
  Finding out = ok("mpi", found);
  if (mpirun.code != 0)
    out = failed("mpi", ExitCode::comm,
                 fmt::format("linked with {}; {} --version ends with code {}: {}", ours, mpirun.path, mpirun.code, first_line(mpirun.text)),
                 "repair or reinstall it, or put another mpirun first in PATH");
  else if (theirs.name != mine.name)
    out =
        failed("mpi", ExitCode::comm, found, "put the mpirun of the MPI that is linked first in PATH, or build chorale with the other MPI");
  else if (series(theirs.version) != series(mine.version))
    out = warning("mpi", found, "take the mpirun of the version that is linked: other versions may not bring ranks together");
  out.values = {{"linked", mine.name},
                {"linked_version", mine.version},
                {"mpirun", theirs.name},
                {"mpirun_version", theirs.version},
                {"mpirun_path", mpirun.path}};
  return out;
}

Finding judge_pmix(const std::string& pmix, const std::set<std::string>& files) {
  Finding out = ok("pmix", fmt::format("{} ({})", pmix, fmt::join(files, ", ")));
  if (files.size() > 1)
    out = warning("pmix", fmt::format("{} copies of libpmix are loaded: {}", files.size(), fmt::join(files, ", ")),
                  "let chorale and MPI be linked with one libpmix, or ranks may not find each other; see LD_LIBRARY_PATH");
  out.values["library"] = pmix;
  return out;
}

Finding judge_slurm(const ToolAnswer& srun, const ToolAnswer& plugins, const Wanted& wanted) {
  if (srun.path.empty()) return skipped("slurm", "there is no srun in PATH");
  if (!srun.has_answered || !plugins.has_answered)
    return warning("slurm", srun.path + " does not answer within 3 s", "ask scontrol ping whether the controller is there");
  const std::size_t at = srun.text.find("slurm");
  const std::string version = srun.code == 0 && at != std::string::npos ? first_line(srun.text.substr(at)) : srun.path;
  const bool has_pmix = plugins.text.find("pmix") != std::string::npos;
  Finding out = ok("slurm", fmt::format("{} ({}), its --mpi=list has pmix", version, srun.path));
  if (plugins.code != 0 && !has_pmix && !wanted.srun && !wanted.is_job)
    out = skipped("slurm", fmt::format("this is no job of Slurm, and its {} does not work here: {}", srun.path, first_line(plugins.text)));
  else if (plugins.code != 0 && !has_pmix)
    out = failed("slurm", ExitCode::comm,
                 fmt::format("{} --mpi=list ends with code {}: {}", srun.path, plugins.code, first_line(plugins.text)),
                 "see whether slurm.conf is there and right on this node");
  else if (!has_pmix) {
    const std::string found = fmt::format("{} ({}) has no pmix: --mpi=list does not name it", version, srun.path);
    const std::string remedy = "install Slurm's PMIx plug-in and libpmix-dev on every node, or use mpirun inside sbatch";
    out = wanted.srun ? failed("slurm", ExitCode::comm, found, remedy) : warning("slurm", found, remedy);
  }
  out.values = {{"version", version}, {"pmix", has_pmix}};
  return out;
}

Finding judge_gnuplot(const ToolAnswer& gnuplot) {
  if (gnuplot.path.empty()) return warning("gnuplot", "absent: runs have no curves.svg", "apt install gnuplot-nox");
  return ok("gnuplot", gnuplot.has_answered ? first_line(gnuplot.text) : gnuplot.path);
}

}  // namespace chorale
