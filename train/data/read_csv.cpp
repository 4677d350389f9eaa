// data.format = csv: tables, by prepare_data and EncodedFile.
#include <array>

#include <chorale/train/data/encoded_file.hpp>
#include <chorale/train/data/reader.hpp>

namespace chorale {

std::span<const std::string_view> table_keys() {
  static constexpr auto kKeys = std::to_array<std::string_view>({"file",
                                                                 "separator",
                                                                 "header",
                                                                 "missing",
                                                                 "bad_rows",
                                                                 "memory",
                                                                 "target",
                                                                 "positive",
                                                                 "weight",
                                                                 "columns",
                                                                 "drop",
                                                                 "id",
                                                                 "numeric",
                                                                 "categorical",
                                                                 "date",
                                                                 "scale",
                                                                 "encode",
                                                                 "standardise",
                                                                 "minmax",
                                                                 "robust",
                                                                 "quantile_normal",
                                                                 "quantile_bins",
                                                                 "log1p",
                                                                 "keep",
                                                                 "one_hot",
                                                                 "ordinal",
                                                                 "hashing",
                                                                 "bins",
                                                                 "hash_buckets",
                                                                 "min_frequency",
                                                                 "impute",
                                                                 "impute_value",
                                                                 "impute_categorical",
                                                                 "missing_indicator",
                                                                 "representations",
                                                                 "representations_tasks",
                                                                 "split",
                                                                 "fold",
                                                                 "split_seed"});
  return kKeys;
}

namespace {

DataParts read_csv(const ReadRequest& r) {
  PreparedData table = prepare_data(r.data, r.train, r.comm, r.log, r.registry, r.entities, r.published);
  const std::string identity = table.identity();
  return {.pipeline = std::move(table.pipeline),
          .train = table.train,
          .validation = table.validation,
          .test = table.test,
          .rows = table.rows,
          .entities = std::move(table.entities),
          .periods = std::move(table.periods),
          .identity = identity};
}

std::unique_ptr<OpenedRows> open_csv(const OpenRequest& r, Communicator& comm, Log& log) {
  const EncodedFileSettings settings{
      .data = r.data, .dtype = r.dtype, .published = r.published, .time = r.time, .needs_target = r.needs_target};
  return std::make_unique<EncodedFile>(r.pipeline, settings, comm, log);
}

}  // namespace

void register_reader_csv(Registry& registry) {
  registry.of<ReaderEntry>().add("csv", {.help = "tables, whose columns are inferred and preprocessed",
                                         .keys = {table_keys().begin(), table_keys().end()},
                                         .read = read_csv,
                                         .open = open_csv});
}

}  // namespace chorale
