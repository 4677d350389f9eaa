// What a submit has to know of a run that it is to go on with.
#pragma once
#include <cstdint>
#include <filesystem>

namespace chorale {

/// Of a run, or of an array with its seeds, that may not be there yet: throws OwnedError when a job that events.jsonl names is queued or
/// running. It would find another recipe when it is started again.
void must_have_no_job(const std::filesystem::path& run);

/// The same when an attempt holds one of their locks. Where only a heartbeat can tell it waits, and says so on stderr.
void must_be_unlocked(const std::filesystem::path& run);

/// The virtual workers of the newest checkpoint or, where there is none, of recipe.resolved.ini; of an array those that its seeds have in
/// common. 0: it has begun nothing, or as many as ranks were asked for. Throws UsageError when seeds differ.
std::int64_t virtual_workers_of(const std::filesystem::path& run);

}  // namespace chorale
