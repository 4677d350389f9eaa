#include <chorale/train/data/array_files.hpp>

#include <array>
#include <filesystem>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/content_hash.hpp>
#include <chorale/train/data/node_sources.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

namespace fs = std::filesystem;

/// A path, or a glob that means one.
std::string one_file(const std::string& key, const std::string& path) {
  const std::vector<std::string> found = expand_files({path}, key);
  if (found.size() != 1) throw UsageError(key + " = " + path + " names " + std::to_string(found.size()) + " files; an array is one");
  return found[0];
}

/// A file of Fashion-MNIST's and MNIST's names, packed or not, with a dash or a dot in front of "idx".
std::string in_folder(const std::string& folder, const std::string& stem, const std::string& kind) {
  for (const char* between : {"-", "."})
    for (const char* end : {"", ".gz"}) {
      const fs::path path = fs::path(folder) / (stem + between + kind + "-ubyte" + end);
      std::error_code error;
      if (fs::exists(path, error)) return path.string();
    }
  throw DataError((fs::path(folder) / (stem + "-" + kind + "-ubyte.gz")).string() +
                  ": there is no such file, nor one without .gz; data.dir must hold train-images-idx3-ubyte, train-labels-idx1-ubyte, "
                  "t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, else name them by data.file, data.labels and so on");
}

std::string labels_of(const std::string& rows, const std::string& given, const std::string& key) {
  if (!given.empty()) return one_file(key, given);
  std::string name = fs::path(rows).filename().string();
  const std::size_t at = name.find("images");
  const std::size_t kind = name.find("idx3", at == std::string::npos ? 0 : at);
  if (at == std::string::npos || kind == std::string::npos)
    throw UsageError(key + " is missing: the labels of " + rows + ", an array with one number a row");
  name.replace(kind, 4, "idx1").replace(at, 6, "labels");
  const fs::path beside = fs::path(rows).parent_path() / name;
  const fs::path other = beside.extension() == ".gz" ? fs::path(beside).replace_extension() : fs::path(beside.string() + ".gz");
  std::error_code error;
  return one_file(key, (fs::exists(beside, error) || !fs::exists(other, error) ? beside : other).string());
}

/// In the order: rows, labels, test rows, test labels.
std::vector<std::string> paths_of(const DataOptions& o, ArrayFiles::Wanted wanted) {
  if (!o.dir.empty() && o.file.empty())
    return {in_folder(o.dir, "train-images", "idx3"), in_folder(o.dir, "train-labels", "idx1"), in_folder(o.dir, "t10k-images", "idx3"),
            in_folder(o.dir, "t10k-labels", "idx1")};
  if (o.file.size() != 1)
    throw UsageError(o.file.empty() ? "data.file is missing; name the array of training rows" +
                                          std::string(o.format == "idx" ? ", or by data.dir the folder of four files" : "")
                                    : "data.file names " + std::to_string(o.file.size()) + " files; an array is one");
  std::vector<std::string> out = {one_file("data.file", o.file[0])};
  if (wanted.labels) out.push_back(labels_of(out[0], o.labels, "data.labels"));
  if (!wanted.test || o.test_file.empty()) return out;
  out.push_back(one_file("data.test_file", o.test_file));
  out.push_back(labels_of(out.back(), o.test_labels, "data.test_labels"));
  return out;
}

void refuse_mixtures(const DataOptions& o) {
  const bool names_files = !o.file.empty() || !o.labels.empty() || !o.test_file.empty() || !o.test_labels.empty();
  if (!o.dir.empty() && names_files)
    throw UsageError("data.dir names all files; remove data.file, data.labels, data.test_file and data.test_labels, or data.dir");
  if (o.test_file.empty() && !o.test_labels.empty()) throw UsageError("data.test_labels are those of data.test_file, which is missing");
}

}  // namespace

ArrayFiles::ArrayFiles(const DataOptions& options, ViewArray view, Wanted wanted, Communicator& comm) {
  std::vector<std::string> paths;
  together(comm, "array files", [&](std::int64_t&) {
    if (wanted.test) refuse_mixtures(options);  // else it is another file that is read with the run's options
    if (comm.rank() == 0) paths = paths_of(options, wanted);
  });
  sources_ = open_node_sources(comm, paths, {});
  together(comm, "arrays", [&](std::int64_t&) {
    std::size_t next = 0;
    main_ = labelled(next, view, wanted.labels);
    if (next < sources_.size()) test_ = labelled(next, view, true);
    if (!test_) return;
    const auto row = [](const Shape& s) { return Shape(s.dims().subspan(1)); };
    if (row(test_->rows.shape) != row(main_.rows.shape) || test_->rows.type != main_.rows.type)
      throw DataError(test_->rows.path + ": has rows of " + row(test_->rows.shape).text() + " " + std::string(name(test_->rows.type)) +
                      ", those of " + main_.rows.path + " are " + row(main_.rows.shape).text() + " " + std::string(name(main_.rows.type)) +
                      "; both must be alike");
  });
}

LabelledArrays ArrayFiles::labelled(std::size_t& next, ViewArray view, bool with_labels) const {
  const Source& rows = sources_[next++];
  LabelledArrays out{.rows = view(rows.bytes(), rows.path()), .labels = {}};
  const Shape& shape = out.rows.shape;
  if (shape.rank() < 2 || shape.elements() == 0)
    throw DataError(out.rows.path + ": has the shape " + shape.text() +
                    "; expected at least one row, [N, ...], each of at least one number" +
                    (shape.rank() == 1 ? " (are these the labels?)" : ""));
  if (!with_labels) return out;
  const Source& labels = sources_[next++];
  out.labels = view(labels.bytes(), labels.path());
  if (out.labels->shape.rank() < 1 || out.labels->shape.elements() != out.labels->shape[0] || out.labels->shape[0] != shape[0])
    throw DataError(out.labels->path + ": has the shape " + out.labels->shape.text() + ", " + out.rows.path + " has " + shape.text() +
                    "; expected one label a row, [" + std::to_string(shape[0]) + "]; do the files belong together?");
  return out;
}

std::string ArrayFiles::content() const {
  ContentHash hash;
  const auto add = [&](const ArrayView& view) {
    const std::string shape = view.shape.text();
    hash.add(std::as_bytes(std::span(shape)));
    hash.add(std::as_bytes(std::span(view.elements)));
  };
  for (const LabelledArrays* each : {&main_, test_ ? &*test_ : nullptr}) {
    if (!each) continue;
    add(each->rows);
    if (each->labels) add(*each->labels);
  }
  return hash.text();
}

}  // namespace chorale
