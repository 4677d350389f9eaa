#include <chorale/train/collab/tick_gather.hpp>

#include <cstring>
#include <utility>

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

std::vector<std::vector<std::int32_t>> TickGather::take(std::int64_t tags) {
  std::vector<std::vector<std::int32_t>> out = std::exchange(restored_, {});
  if (is_pending_) {
    settle();
    for (std::int64_t tag = 0; tag < tags; ++tag) out.push_back(words_of(tag));
    clear();
  }
  out.resize(static_cast<std::size_t>(tags));
  return out;
}

std::vector<NamedTensor> TickGather::state(const std::string& name, std::int64_t tags) const {
  std::vector<NamedTensor> out;
  if (is_pending_) kept_.clear();
  for (std::int64_t tag = 0; is_pending_ && tag < tags; ++tag) kept_.push_back(words_of(tag));
  if (!is_pending_) kept_ = restored_;
  kept_.resize(static_cast<std::size_t>(tags));
  for (std::size_t tag = 0; tag < kept_.size(); ++tag)
    out.push_back({name + ".posted." + std::to_string(tag), DType::i32, {static_cast<std::int64_t>(kept_[tag].size())}, kept_[tag].data()});
  return out;
}

void TickGather::restore(const SafetensorsFile& file, const std::string& name, std::int64_t tags) {
  restored_.clear();
  for (std::int64_t tag = 0; tag < tags; ++tag) {
    const NamedTensor& found = file.at(name + ".posted." + std::to_string(tag));
    if (found.dtype != DType::i32) throw CheckpointError(file.path().string() + ": " + found.name + " is no list of words");
    const auto* words = static_cast<const std::int32_t*>(found.data);
    restored_.emplace_back(words, words + found.shape.elements());
  }
}

}  // namespace chorale
