#include <chorale/train/collab/tick_gather.hpp>

#include <chorale/core/base/error.hpp>

namespace chorale {

void TickGather::post(std::int64_t tag, std::vector<std::int32_t> words) {
  if (is_pending_) throw InternalError(rows_ + ": a post while one is pending");
  mine_ = {tag, static_cast<std::int64_t>(words.size())};
  sent_ = std::move(words);
  heads_.assign(static_cast<std::size_t>(comm_.size()), Head{});
  words_begun_ = false, is_pending_ = true;
  const std::vector<std::int64_t> two(heads_.size(), 2);
  work_ = comm_.all_gather({&mine_, 2, DType::i64, {}}, {heads_.data(), 2 * comm_.size(), DType::i64, {}}, two, sizes_.c_str());
}

void TickGather::begin_words() {
  work_ = Work();
  std::vector<std::int64_t> counts;
  std::int64_t all = 0;
  for (const Head& head : heads_) counts.push_back(head.words), all += head.words;
  words_.resize(static_cast<std::size_t>(all));
  words_begun_ = true;
  if (all > 0)
    work_ = comm_.all_gather({sent_.data(), mine_.words, DType::i32, {}}, {words_.data(), all, DType::i32, {}}, counts, rows_.c_str());
}

void TickGather::advance() {
  if (!is_pending_) return;
  if (!words_begun_ && work_.done()) begin_words();
  if (words_begun_) work_.done();
}

void TickGather::settle() {
  if (!is_pending_) return;
  work_.wait();
  if (words_begun_) return;
  begin_words();
  work_.wait();
}

std::vector<std::int32_t> TickGather::words_of(std::int64_t tag) const {
  std::vector<std::int32_t> out;
  std::int64_t first = 0;
  for (const Head& head : heads_) {
    if (head.tag == tag) out.insert(out.end(), words_.begin() + first, words_.begin() + first + head.words);
    first += head.words;
  }
  return out;
}

void TickGather::clear() { is_pending_ = false, words_begun_ = false, work_ = Work(), sent_.clear(), words_.clear(); }

}  // namespace chorale
