// chorale doctor
#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>
#include <chorale/launcher/ranks.hpp>
#include <chorale/launcher/session.hpp>

namespace chorale {

namespace {

std::string first_line_of(const std::string& command) {
  std::string out;
  if (FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r")) {
    char text[256];
    if (std::fgets(text, sizeof text, pipe)) out = text;
    ::pclose(pipe);
  }
  while (!out.empty() && (out.back() == '\n' || out.back() == '\r')) out.pop_back();
  return out;
}

std::int64_t memory_kib(const std::string& key) {
  std::ifstream in("/proc/meminfo");
  std::string word;
  for (std::int64_t value = 0; in >> word;)
    if (word == key + ":" && in >> value) return value;
  return 0;
}

/// To a tenth: who reads it wants to know what fits.
double gib(const std::string& key) { return std::round(static_cast<double>(memory_kib(key)) / (1 << 20) * 10) / 10; }

}  // namespace

std::string doctor_options() { return JsonTable().help(); }

int run_doctor(std::span<const std::string> arguments) {
  const bool json = JsonTable().read(arguments);
  const Surroundings around = look_around();
  const std::string absent = "absent";
  const auto tool = [&](const char* command) {
    const std::string line = first_line_of(command);
    return line.empty() ? absent : line;
  };
  nlohmann::ordered_json j = {{"version", CHORALE_VERSION},
                              {"kernels", make_cpu_device()->text()},
                              {"matrix_products", cpu_libraries()},
                              {"physical_cores", around.cores},
                              {"logical_cores", std::thread::hardware_concurrency()},
                              {"memory_gib", gib("MemTotal")},
                              {"available_gib", gib("MemAvailable")},
                              {"ranks_by_default", plan_ranks({}, around).ranks},
                              {"mpirun", tool("mpirun --version")},
                              {"srun", tool("srun --version")},
                              {"gnuplot", tool("gnuplot --version")}};
  std::vector<std::string> advice;
  if (j["mpirun"] == absent) advice.push_back("mpirun is absent: ranks run as threads of one process; apt install openmpi-bin");
  if (j["gnuplot"] == absent) advice.push_back("gnuplot is absent: runs have no curves.svg; apt install gnuplot-nox");
  if (!around.omp_threads.empty()) advice.push_back(fmt::format("OMP_NUM_THREADS = {} is taken as --threads", around.omp_threads));
  j["advice"] = advice;
  if (json) {
    std::printf("%s\n", j.dump(2).c_str());
    return 0;
  }
  for (const auto& [key, value] : j.items())
    if (key != "advice")
      std::printf("%-18s %s\n", key.c_str(), value.is_string() ? value.get<std::string>().c_str() : value.dump().c_str());
  for (const std::string& line : advice) std::printf("advice: %s\n", line.c_str());
  return 0;
}

}  // namespace chorale
