// logs/batch_step_N.json: the samples of the batch that was in flight when a rank failed, for the case that they are why.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include <chorale/train/trainer.hpp>

namespace chorale {

std::filesystem::path batch_note_file(const std::filesystem::path& run, std::int64_t step);

/// {"step", "samples": [[of worker 0], [of worker 1], ...]}, each as messages call it: its number in the table. The same from every rank,
/// so one that is there already is left. Throws IoError.
void write_batch_note(const std::filesystem::path& run, const BatchInFlight& batch);

/// "17, 33, 58, ... (200 in all, logs/batch_step_300.json)"; empty where there is no such file or it is damaged.
std::string samples_noted(const std::filesystem::path& run, std::int64_t step);

}  // namespace chorale
