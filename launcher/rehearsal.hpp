// What a run is cut down to before it is trusted with hours: a few updates through every part of it, or a few batches learnt by heart.
#pragma once
#include <cstdint>
#include <string>

#include <chorale/train/data/reader.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

inline constexpr std::int64_t kRehearsedSteps = 3, kRehearsedRows = 1024;

/// --fast-dev-run: kRehearsedSteps updates, then an evaluation and a checkpoint, and at most kRehearsedRows rows of validation and test.
/// The learning rate is as given, without a schedule. Returns what is left of the run, for the log.
std::string cut_to_rehearsal(Settings& settings, DataParts& data);

/// --overfit-batches: the training rows are those of `batches` batches, drawn by the run's seed, and the validation rows are the same; a
/// model, a loss and a rate that are right reach a loss of almost nothing. Returns what is left, for the log. Throws UsageError where the
/// training part has fewer rows.
std::string cut_to_batches(const TrainOptions& options, std::int64_t batches, DataParts& data);

}  // namespace chorale
