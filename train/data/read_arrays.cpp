// data.format = idx and npy: an array of rows and one of labels, once in memory that the ranks of a node share.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/array_dataset.hpp>
#include <chorale/core/data/array_scale.hpp>
#include <chorale/core/data/extents.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/core/io/idx.hpp>
#include <chorale/core/io/npy.hpp>
#include <chorale/train/agreement.hpp>
#include <chorale/train/data/array_store.hpp>
#include <chorale/train/data/reader.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

/// What a row is to the model.
Shape row_shape_of(const ArrayView& rows, const DataOptions& data) {
  const Shape stored(rows.shape.dims().subspan(1));
  if (data.shape.empty()) {
    if (data.format == "idx" && stored.rank() == 2) return {stored[0], stored[1], 1};
    return stored;
  }
  const Shape asked = parse_extents(data.shape);
  if (asked.elements() != stored.elements())
    throw UsageError("data.shape = " + data.shape + " has " + std::to_string(asked.elements()) + " numbers, a row of " + rows.path + " " +
                     stored.text() + " has " + std::to_string(stored.elements()));
  return asked;
}

std::vector<std::int64_t> every(std::int64_t rows) {
  std::vector<std::int64_t> out(static_cast<std::size_t>(rows));
  std::iota(out.begin(), out.end(), std::int64_t{0});
  return out;
}

class ArrayReading {
 public:
  ArrayReading(const ReadRequest& request, ViewArray view) : r_(request), files_(r_.data, view, {}, r_.comm) {
    if (!r_.entities.columns.empty() || r_.published)
      throw UsageError("data.format = " + r_.data.format + " has no columns, and so no entities to share; use csv");
  }

  DataParts run() {
    DataParts out;
    together(r_.comm, "labels", [&](std::int64_t&) {
      describe_rows(out.pipeline);
      augmentation_ = std::make_shared<Augmentation>(r_.data.augment, out.pipeline.array.row_shape, r_.registry);
      read_labels(out.pipeline.targets[0]);
      split(out.pipeline);
    });
    fit(out.pipeline);
    const std::int64_t budget = memory_budget(r_.data.memory);
    const DType dtype = parse_dtype(r_.train.dtype);
    const ArrayStore main(r_.comm, {files_.main(), out.pipeline, labels_[0], dtype, budget});
    out.train = main.part(rows_of(parts_, Part::train), augmentation_->is_empty() ? nullptr : augmentation_);
    out.validation = main.part(rows_of(parts_, Part::validation));
    out.rows = files_.main().count();
    if (files_.test()) {
      const ArrayStore test(r_.comm, {*files_.test(), out.pipeline, labels_[1], dtype, budget - main.bytes()});
      out.test = test.part(every(files_.test()->count()));
      out.rows += files_.test()->count();
    } else {
      out.test = main.part(rows_of(parts_, Part::test));
    }
    std::string content;
    together_slowly(r_.comm, "hash of the arrays", [&](std::int64_t&) { content = r_.comm.rank() == 0 ? files_.content() : ""; });
    out.identity = rows_identity(out.rows, out.pipeline, text_from(r_.comm, 0, content, "content of the arrays"));
    return out;
  }

 private:
  void describe_rows(Pipeline& pipeline) const {
    pipeline.array.row_shape = row_shape_of(files_.main().rows, r_.data);
    pipeline.array.stored = files_.main().rows.type == StoredType::u8 ? DType::u8 : DType::f32;
    pipeline.split_seed = r_.data.split_seed;
    pipeline.targets.push_back({.name = "label", .kind = target_kind(loss_of_target(r_.train.loss, {"label"}, 0), r_.registry)});
  }

  /// Classes are those of the file of training rows: a row of the test file with another cannot be right.
  void read_labels(FittedTarget& target) {
    labels_.push_back(ArrayLabels(*files_.main().labels, target.kind));
    if (target.kind != TargetKind::value) target.classes = labels_[0].classes();
    check_classes(target);
    if (files_.test()) labels_.push_back(ArrayLabels(*files_.test()->labels, target.kind));
    for (ArrayLabels& labels : labels_) labels.number(target.classes);
  }

  void check_classes(const FittedTarget& target) const {
    const std::string what = files_.main().labels->path + ": has " + std::to_string(target.classes.size());
    if (target.kind == TargetKind::value) return;
    if (target.classes.size() < 2) throw DataError(what + " class; two at least are needed to learn something");
    if (target.kind == TargetKind::binary && target.classes.size() > 2)
      throw DataError(what + " classes, but binary_cross_entropy takes two; use train.loss = cross_entropy");
    if (target.classes.size() > 10000) throw DataError(what + " classes; at most 10000 are taken, use mse for a value");
  }

  void split(Pipeline& pipeline) {
    const std::int64_t rows = files_.main().count();
    const auto seed = static_cast<std::uint64_t>(r_.data.split_seed);
    SplitRule rule = parse_split(r_.data.split, r_.data.fold);
    if (files_.test()) {
      if (r_.data.split != DataOptions().split)
        throw UsageError("data.split does nothing where test rows have a file of their own; data.validation says which share validates");
      if (!r_.data.fold.empty()) throw UsageError("data.fold does nothing where test rows have a file of their own; remove data.test_file");
      const double share = r_.data.validation;
      rule = SplitRule();
      rule.share = {1 - share, share, 0};
      pipeline.split = fmt::format("validation {}, test in a file of its own", share);
    } else {
      if (r_.data.validation != DataOptions().validation)
        throw UsageError("data.validation is for test rows in a file of their own (data.test_file); data.split says all shares here");
      if (rule.kind != SplitRule::Kind::random && rule.kind != SplitRule::Kind::stratified)
        throw UsageError("data.split = " + rule.text() + " needs columns, which arrays lack; use random or stratified");
      pipeline.split = rule.text();
    }
    parts_ = assign_parts(rule, seed, rows, rule.needs_keys() ? labels_[0].keys() : std::vector<std::uint64_t>());
    const std::vector<std::int64_t> train = rows_of(parts_, Part::train);
    pipeline.training_rows = static_cast<std::int64_t>(train.size());
    FittedTarget& target = pipeline.targets[0];
    target.class_rows.assign(target.classes.size(), 0);
    for (const std::int64_t row : train)
      if (target.kind != TargetKind::value) ++target.class_rows[static_cast<std::size_t>(labels_[0].number_of(row))];
  }

  /// Each rank sees a share of the training rows.
  void fit(Pipeline& pipeline) {
    const Shape& shape = pipeline.array.row_shape;
    const bool is_bytes = pipeline.array.stored == DType::u8;
    ArrayScale mine(shape[-1]), all(shape[-1]);
    together(r_.comm, "scaling", [&](std::int64_t& position) {
      if (r_.data.scale == "none" || (is_bytes && r_.data.scale == "minmax")) return;
      const std::int64_t rows = files_.main().count(), ranks = r_.comm.size(), rank = r_.comm.rank();
      std::vector<double> row(static_cast<std::size_t>(shape.elements()));
      for (position = rows * rank / ranks; position < rows * (rank + 1) / ranks; ++position) {
        if (parts_[static_cast<std::size_t>(position)] != Part::train) continue;
        const std::int64_t first = position * shape.elements();
        if (is_bytes) {
          const auto* bytes = reinterpret_cast<const std::uint8_t*>(files_.main().rows.elements.data());
          mine.add(std::span(bytes + first, row.size()));
          continue;
        }
        read_elements(files_.main().rows, first, std::span(row));
        check_finite(files_.main().rows, first, std::span<const double>(row));
        mine.add(std::span<const double>(row));
      }
    });
    for (const auto& bytes : all_gather_bytes(r_.comm, mine.state(), "scaling")) all.merge(bytes);
    const ArrayScale::Fitted fitted = all.fit(r_.data.scale, is_bytes);
    pipeline.array.shift = fitted.shift, pipeline.array.factor = fitted.factor;
  }

  const ReadRequest& r_;
  ArrayFiles files_;
  std::shared_ptr<const Augmentation> augmentation_;
  std::vector<ArrayLabels> labels_;  // of the main file; of the test file, where there is one
  std::vector<Part> parts_;
};

/// Of a file that a trained model reads.
class OpenedArray final : public OpenedRows {
 public:
  OpenedArray(const OpenRequest& request, ViewArray view, Communicator& comm) {
    const ArrayFiles files(request.data, view, {.labels = request.needs_target, .test = false}, comm);
    const ArrayFeatures& array = request.pipeline.array;
    ArrayLabels labels;
    together(comm, "rows", [&](std::int64_t&) {
      const ArrayView& rows = files.main().rows;
      const DType stored = rows.type == StoredType::u8 ? DType::u8 : DType::f32;
      if (row_shape_of(rows, request.data) != array.row_shape || stored != array.stored)
        throw DataError(rows.path + ": has rows of " + Shape(rows.shape.dims().subspan(1)).text() + " " + std::string(name(rows.type)) +
                        ", the model reads " + array.row_shape.text() + " of " + (array.stored == DType::u8 ? "u8" : "numbers") +
                        "; convert them as its training rows were");
      if (!request.needs_target) return;
      labels = ArrayLabels(*files.main().labels, request.pipeline.targets[0].kind);
      labels.number(request.pipeline.targets[0].classes);
    });
    const ArrayStore store(comm, {files.main(), request.pipeline, labels, request.dtype, memory_budget(request.data.memory)});
    rows_ = store.part(every(files.main().count()));
  }
  std::shared_ptr<const Dataset> shared_rows() const override { return rows_; }
  void each_id(const Visit& visit) override {
    for (std::int64_t row = 0; row < rows_->rows(); ++row) visit(row, {});
  }

 private:
  std::shared_ptr<const Dataset> rows_;
};

}  // namespace

void register_reader_arrays(Registry& registry) {
  auto& readers = registry.of<ReaderEntry>();
  std::vector<std::string_view> keys = {"file",  "labels",  "test_file", "test_labels", "validation", "shape",
                                        "scale", "augment", "memory",    "split",       "fold",       "split_seed"};
  readers.add("npy", {.help = "arrays of numpy.save",
                      .keys = keys,
                      .read = [](const ReadRequest& r) { return ArrayReading(r, view_npy).run(); },
                      .open = [](const OpenRequest& r, Communicator& comm, Log&) -> std::unique_ptr<OpenedRows> {
                        return std::make_unique<OpenedArray>(r, view_npy, comm);
                      }});
  keys.insert(keys.begin(), "dir");
  readers.add("idx", {.help = "images and labels as MNIST and Fashion-MNIST have them",
                      .keys = keys,
                      .read = [](const ReadRequest& r) { return ArrayReading(r, view_idx).run(); },
                      .open = [](const OpenRequest& r, Communicator& comm, Log&) -> std::unique_ptr<OpenedRows> {
                        return std::make_unique<OpenedArray>(r, view_idx, comm);
                      }});
}

}  // namespace chorale
