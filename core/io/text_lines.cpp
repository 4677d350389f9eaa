#include <chorale/core/io/text_lines.hpp>

#include <span>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {
constexpr std::size_t kBlock = 64 << 10, kLongest = 16 << 20;  // a file may have holes that cost its maker nothing
}

TextLines::TextLines(const std::filesystem::path& path) {
  try {
    file_.emplace(File::open_read(path));
  } catch (const IoError&) {
  }
}

bool TextLines::fill() {
  if (!file_) return false;
  block_.resize(kBlock), at_ = 0;
  try {
    block_.resize(file_->read_at(offset_, std::as_writable_bytes(std::span(block_))));
  } catch (const IoError&) {
    block_.clear();
  }
  offset_ += block_.size();
  return !block_.empty();
}

bool TextLines::next(std::string& line) {
  line.clear();
  for (bool is_begun = false, is_too_long = false;;) {
    if (at_ == block_.size() && !fill()) return is_begun && !is_too_long;
    is_begun = true;
    const std::size_t end = block_.find('\n', at_), stop = end == std::string::npos ? block_.size() : end;
    is_too_long = is_too_long || line.size() + (stop - at_) > kLongest;
    if (is_too_long)
      line.clear();
    else
      line.append(block_, at_, stop - at_);
    at_ = stop;
    if (end == std::string::npos) continue;
    ++at_;
    if (!is_too_long) return true;
    is_begun = is_too_long = false;
  }
}

}  // namespace chorale
