#include <chorale/train/data/matrix_store.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/spill.hpp>
#include <chorale/core/data/memory_budget.hpp>
#include <chorale/train/data/aligned.hpp>
#include <chorale/train/data/together.hpp>

namespace chorale {

namespace {

struct FileCard {
  std::int64_t process = 0, descriptor = -1;
};

}  // namespace

std::int64_t MatrixShape::bytes() const {
  const auto element = static_cast<std::int64_t>(size_bytes(dtype));
  return aligned(rows * features * element) + aligned(static_cast<std::int64_t>(targets.size()) * rows * element) +
         (weight ? aligned(rows * element) : 0);
}

MatrixStore::MatrixStore(Communicator& comm, const MatrixShape& shape, std::int64_t budget_bytes, const std::string& spill_directory)
    : shape_(shape), directory_(chorale::spill_directory(spill_directory)) {
  const auto element = static_cast<std::int64_t>(size_bytes(shape.dtype));
  target_at_ = aligned(shape.rows * shape.features * element);
  weight_at_ = target_at_ + aligned(static_cast<std::int64_t>(shape.targets.size()) * shape.rows * element);
  Communicator& node = comm.node();
  // Each node may have another budget, and must stay in step with the others all the same.
  if (shape.bytes() <= budget_bytes) memory_ = node.allocate(node.rank() == 0 ? shape.bytes() : 0, DType::u8);
  open_file(comm, spill_directory);
}

MatrixStore::~MatrixStore() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void MatrixStore::open_file(Communicator& comm, const std::string& spill_directory) {
  Communicator& node = comm.node();
  const bool needed = !memory_.owner;
  FileCard card;
  together_slowly(comm, "matrix file", [&](std::int64_t&) {  // slowly: some file systems write what they reserve
    if (!needed || node.rank() != 0) return;
    descriptor_ = open_spill(spill_directory);
    card = {::getpid(), descriptor_};
    if (const int why = ::posix_fallocate(descriptor_, 0, shape_.bytes()); why != 0)
      throw IoError("[data] no room for the feature matrix of " + bytes_text(shape_.bytes()) + " in " + directory_ + ": " +
                    std::strerror(why) + "; point TMPDIR to a larger disk, or raise data.memory");
  });
  const auto bytes = broadcast_bytes(node, std::as_bytes(std::span(&card, 1)), 0, "matrix file");
  std::memcpy(&card, bytes.data(), sizeof card);
  together(comm, "matrix file", [&](std::int64_t&) {
    if (!needed || node.rank() == 0) return;
    const std::string name = "/proc/" + std::to_string(card.process) + "/fd/" + std::to_string(card.descriptor);
    descriptor_ = ::open(name.c_str(), O_RDWR | O_CLOEXEC);
    if (descriptor_ < 0)
      throw IoError("[data] cannot open the matrix of another rank of this node (" + name + "): " + std::strerror(errno));
  });
}

void MatrixStore::write(const Encoder& encoder, const TableChunk& chunk) {
  if (shape_.dtype == DType::f64)
    write_as<double>(encoder, chunk);
  else
    write_as<float>(encoder, chunk);
}

template <class T>
void MatrixStore::write_as(const Encoder& encoder, const TableChunk& chunk) {
  const auto element = static_cast<std::int64_t>(sizeof(T));
  const std::int64_t first = chunk.first_row, rows = chunk.rows, width = shape_.features;
  const auto targets = static_cast<std::int64_t>(shape_.targets.size());
  EncodedRowsOf<T> out;
  if (is_in_memory()) {
    auto* base = memory_.peers.front().as<std::byte>();
    out.x = reinterpret_cast<T*>(base) + first * width;
    if (targets > 0) out.target = reinterpret_cast<T*>(base + target_at_) + first;
    out.target_stride = shape_.rows;
    if (shape_.weight) out.weight = reinterpret_cast<T*>(base + weight_at_) + first;
    return encoder.encode(chunk, out);
  }
  // Written, not stored through a mapping: a full disk is then an error to report and not a signal that kills.
  block_.resize(static_cast<std::size_t>(rows * (width + targets + 1) * element));
  out.x = reinterpret_cast<T*>(block_.data());
  if (targets > 0) out.target = out.x + rows * width;
  out.target_stride = rows;
  if (shape_.weight) out.weight = out.x + rows * (width + targets);
  encoder.encode(chunk, out);
  write_file(first * width * element, out.x, rows * width * element);
  for (std::int64_t t = 0; t < targets; ++t)
    write_file(target_at_ + (t * shape_.rows + first) * element, out.target + t * rows, rows * element);
  if (out.weight) write_file(weight_at_ + first * element, out.weight, rows * element);
}

void MatrixStore::write_file(std::int64_t offset, const void* data, std::int64_t bytes) {
  const auto* from = static_cast<const std::byte*>(data);
  while (bytes > 0) {
    const ssize_t written = ::pwrite(descriptor_, from, static_cast<std::size_t>(bytes), offset);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      throw IoError("[data] writing the feature matrix to a file in " + directory_ + ": " + std::strerror(errno) +
                    "; point TMPDIR to a larger disk, or raise data.memory");
    from += written, offset += written, bytes -= written;
  }
}

FeatureMatrix MatrixStore::finish() {
  FeatureMatrix matrix{.rows = shape_.rows, .features = shape_.features, .dtype = shape_.dtype};
  matrix.targets = shape_.targets;
  if (!is_in_memory()) {
    matrix.file = std::make_shared<const RowFile>(descriptor_);
    if (!shape_.targets.empty()) matrix.target_at = target_at_;
    if (shape_.weight) matrix.weight_at = weight_at_;
    return matrix;
  }
  const auto* base = memory_.peers.front().as<std::byte>();
  matrix.owner = memory_.owner;
  matrix.x = base;
  if (!shape_.targets.empty()) matrix.target = base + target_at_;
  if (shape_.weight) matrix.weight = base + weight_at_;
  return matrix;
}

}  // namespace chorale
