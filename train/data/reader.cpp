#include <chorale/train/data/reader.hpp>

#include <fmt/format.h>

#include <chorale/core/io/content_hash.hpp>

namespace chorale {

namespace {

const ReaderEntry& entry_of(const DataOptions& data, const Registry& registry) {
  const ReaderEntry& entry = registry.of<ReaderEntry>().at(data.format, "data.format");
  check_taken(data, data.format, entry.keys);
  return entry;
}

}  // namespace

DataParts read_data(const ReadRequest& request) { return entry_of(request.data, request.registry).read(request); }

std::unique_ptr<OpenedRows> open_rows(const OpenRequest& request, const Registry& registry, Communicator& comm, Log& log) {
  return entry_of(request.data, registry).open(request, comm, log);
}

std::string rows_identity(std::int64_t rows, const Pipeline& pipeline, const std::string& content) {
  return fmt::format("{} rows, preprocessing {}", rows, content_hash_of(pipeline.to_json() + content));
}

}  // namespace chorale
