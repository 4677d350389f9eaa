#include <chorale/launcher/batch_note.hpp>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/file.hpp>

namespace chorale {

std::filesystem::path batch_note_file(const std::filesystem::path& run, std::int64_t step) {
  return run / "logs" / ("batch_step_" + std::to_string(step) + ".json");
}

void write_batch_note(const std::filesystem::path& run, const BatchInFlight& batch) {
  const std::filesystem::path path = batch_note_file(run, batch.step);
  std::error_code ignored;
  if (std::filesystem::exists(path, ignored)) return;
  const nlohmann::ordered_json json = {{"step", batch.step}, {"samples", batch.samples}};
  write_file_atomically(path, json.dump() + "\n");
}

std::string samples_noted(const std::filesystem::path& run, std::int64_t step) {
  constexpr std::int64_t kNamed = 5;
  try {
    const auto json = nlohmann::json::parse(read_text(batch_note_file(run, step)));
    std::string out;
    std::int64_t count = 0;
    for (const auto& worker : json.at("samples"))
      for (const auto& sample : worker)
        if (++count <= kNamed) out += (count > 1 ? ", " : "") + std::to_string(sample.get<std::int64_t>());
    return out +
           fmt::format("{} ({} in all, logs/{})", count > kNamed ? ", ..." : "", count, batch_note_file(run, step).filename().string());
  } catch (const IoError&) {  // no rank has lived to write it
  } catch (const nlohmann::json::exception&) {
  }
  return "";
}

}  // namespace chorale
