#include <chorale/launcher/verify.hpp>

#include <cstdio>
#include <functional>
#include <nlohmann/json.hpp>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/checkpoint.hpp>
#include <chorale/core/io/checkpoint_folder.hpp>
#include <chorale/launcher/printable.hpp>

namespace chorale {

namespace {

VerifiedCheckpoint verified(const std::filesystem::path& folder, const std::function<Checkpoint()>& open) {
  VerifiedCheckpoint out{.folder = folder.string(), .damage = {}};
  try {
    const Checkpoint checkpoint = open();
    out.step = checkpoint.manifest().step;
    for (const CheckpointFile& file : checkpoint.manifest().files) {
      out.bytes += file.bytes;
      if (std::filesystem::path(file.name).extension() == ".safetensors") checkpoint.tensors(file.name);
    }
  } catch (const Error& e) {
    out.damage = e.what();
  }
  return out;
}

}  // namespace

std::vector<VerifiedCheckpoint> verify_checkpoints(const std::filesystem::path& path) {
  std::error_code ignored;
  std::vector<VerifiedCheckpoint> out;
  const std::filesystem::path checkpoints = path / "checkpoints";
  if (std::filesystem::is_directory(checkpoints, ignored)) {
    for (const std::int64_t step : list_checkpoints(checkpoints).steps) {
      const std::filesystem::path folder = checkpoints / checkpoint_name(step);
      VerifiedCheckpoint one = verified(folder, [&] { return open_step(checkpoints, step); });
      const bool is_gone = !one.damage.empty() && !std::filesystem::exists(folder, ignored);
      if (!is_gone) out.push_back(std::move(one));  // a run at work removes old ones
    }
    if (out.empty()) throw UsageError(path.string() + ": holds no checkpoint; was the run ever saved?");
    return out;
  }
  if (!std::filesystem::is_directory(path, ignored)) throw UsageError(path.string() + ": there is no such run or checkpoint");
  out.push_back(verified(path, [&] { return open_checkpoint(path); }));
  return out;
}

int report_verified(const std::vector<VerifiedCheckpoint>& checkpoints, bool json) {
  bool damaged = false;
  nlohmann::ordered_json j = nlohmann::ordered_json::array();
  for (const VerifiedCheckpoint& c : checkpoints) {
    damaged = damaged || !c.damage.empty();
    j.push_back({{"checkpoint", c.folder}, {"step", c.step}, {"bytes", c.bytes}, {"sound", c.damage.empty()}, {"damage", c.damage}});
    if (!json && c.damage.empty())
      std::printf("sound    %s (%llu bytes)\n", printable(c.folder).c_str(), static_cast<unsigned long long>(c.bytes));
    else if (!json)
      std::printf("DAMAGED  %s\n         %s\n", printable(c.folder).c_str(), printable(c.damage).c_str());
  }
  if (json) std::printf("%s\n", j.dump(2, ' ', true, nlohmann::ordered_json::error_handler_t::replace).c_str());
  return damaged ? static_cast<int>(ExitCode::checkpoint) : 0;
}

}  // namespace chorale
