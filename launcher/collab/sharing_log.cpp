#include <chorale/launcher/collab/sharing_log.hpp>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include <chorale/core/io/file.hpp>

namespace chorale {

using Json = nlohmann::ordered_json;

void SharingLog::go_on_after(std::int64_t tick) const {
  std::ifstream in(file_);
  std::string kept;
  for (std::string line; std::getline(in, line);) {
    const Json json = Json::parse(line, nullptr, false);
    if (!json.is_discarded() && json.value("tick", tick + 1) <= tick) kept += line + "\n";
  }
  write_file_atomically(file_, kept);
}

void SharingLog::write(const TickNews& news) const {
  Json line = {{"tick", news.tick}};
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const TaskNews& task = news.tasks[t];
    line["tasks"][tasks_[t]] = {{"steps", task.steps},
                                {"stage", std::string(name(task.stage))},
                                {"open_peers", task.open_peers},
                                {"peers", task.peers},
                                {"bytes", task.bytes}};
  }
  line["affinity"] = affinity_json(tasks_, news.affinity);
  std::ofstream(file_, std::ios::app) << line.dump() << "\n";
}

Json affinity_json(const std::vector<std::string>& tasks, const std::vector<double>& values) {
  Json out = Json::object();
  for (std::size_t i = 0; i < tasks.size(); ++i)
    for (std::size_t j = 0; j < tasks.size(); ++j) {
      const double value = values.empty() ? -1 : values[i * tasks.size() + j];
      out[tasks[i]][tasks[j]] = value < 0 ? Json() : Json(std::round(value * 1e4) / 1e4);
    }
  return out;
}

}  // namespace chorale
