#include <chorale/train/collab/sharded_store.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

std::int64_t ShardedTraffic::bytes() const {
  const std::int64_t row = 4 * row_words(wire, width), of_bucket = publishers * 8 * (2 * width + 1),
                     counts = nodes > 1 ? 4 * 16 * (ranks + 1) : 0;
  return 16 * (ranks - 1) + counts + entries * (12 + row) + buckets * of_bucket + rows * (4 + row) +
         (nodes - 1) * (passes_ranks * counts + passes_buckets * of_bucket);
}

ShardedStore::ShardedStore(Communicator& comm, std::vector<std::string> tasks, int number, const Publisher& own,
                           const StoreOptions& options)
    : Store(std::move(tasks), options), comm_(comm), number_(number) {
  const auto ranks = static_cast<std::size_t>(comm.size());
  wanted_by_.resize(ranks), slots_.resize(ranks);
  next_scales_ = scales_, changed_.resize(tasks_.size()), counted_.resize(tasks_.size());
  for (std::size_t p = 0; p < tasks_.size(); ++p) views_.emplace_back();
  deal_out(number, own);
}

bool ShardedStore::read(int publisher, std::int32_t position, float* out) const {
  const auto width = static_cast<std::size_t>(options_.width);
  const ShardView& view = views_[static_cast<std::size_t>(publisher)];
  const bool is_there = position >= 0 && view.present[static_cast<std::size_t>(position)] != 0;
  if (is_there)
    std::copy_n(view.rows.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(position) * width), width, out);
  else
    std::fill_n(out, width, 0.0f);
  return is_there;
}

void ShardedStore::post(int publisher, const EntitySums& seen) {
  if (is_pending()) throw InternalError("a post while one is pending");
  if (publisher >= 0 && publisher != number_) throw InternalError("a rank posts for another task");
  whole_.clear();
  is_released_ = false;
  const auto each = static_cast<std::size_t>(EntitySums::entry_words(options_.width, options_.wire));
  std::vector<std::vector<std::int32_t>> by_owner(static_cast<std::size_t>(comm_.size()));
  const std::vector<std::int32_t> words = publisher >= 0 ? seen.packed(options_.wire) : std::vector<std::int32_t>();
  std::int64_t others = 0;
  for (std::size_t at = 0; at < words.size(); at += each) {
    const Place place = place_of_[static_cast<std::size_t>(words[at])];
    std::vector<std::int32_t>& to = by_owner[static_cast<std::size_t>(place.owner)];
    to.push_back(place.position);
    to.insert(to.end(), words.begin() + static_cast<std::ptrdiff_t>(at) + 1, words.begin() + static_cast<std::ptrdiff_t>(at + each));
    others += place.owner != comm_.rank();
  }
  formula_bytes_ += traffic(others).bytes();
  sent_.clear(), send_counts_.clear();
  for (const std::vector<std::int32_t>& part : by_owner) {
    sent_.insert(sent_.end(), part.begin(), part.end());
    send_counts_.push_back(static_cast<std::int64_t>(part.size()));
  }
  exchange_counts("sharing sizes");
  stage_ = Stage::entry_counts;
}

/// Of a tick in which no row is read.
ShardedTraffic ShardedStore::traffic(std::int64_t entries) const {
  ShardedTraffic out{.ranks = comm_.size(),
                     .publishers = static_cast<std::int64_t>(tasks_.size()),
                     .width = options_.width,
                     .wire = options_.wire,
                     .buckets = buckets_of(comm_.rank(), comm_.size()),
                     .entries = entries,
                     .nodes = comm_.node_count()};
  if (comm_.node().rank() != 0) return out;
  out.passes_ranks = comm_.node().size();
  for (int r = 0; r < comm_.size(); ++r)
    if (comm_.node_of(r) == comm_.node_index()) out.passes_buckets += buckets_of(r, comm_.size());
  return out;
}

void ShardedStore::exchange_counts(Label label) {
  receive_counts_.assign(send_counts_.size(), 0);
  const std::vector<std::int64_t> one(send_counts_.size(), 1);
  work_ = comm_.all_to_all(buffer_of(std::span(send_counts_)), one, buffer_of(std::span(receive_counts_)), one, label);
}

void ShardedStore::exchange_words(Label label) {
  received_.resize(static_cast<std::size_t>(std::accumulate(receive_counts_.begin(), receive_counts_.end(), std::int64_t{0})));
  work_ = comm_.all_to_all(buffer_of(std::span(sent_)), send_counts_, buffer_of(std::span(received_)), receive_counts_, label);
}

void ShardedStore::settle() {
  if (stage_ != Stage::idle) drive(Stage::arrived, true);
}

void ShardedStore::advance() {
  if (stage_ != Stage::idle) drive(is_released_ ? Stage::ready : Stage::arrived, false);
}

void ShardedStore::complete() {
  if (stage_ == Stage::idle) return;
  whole_.clear();
  drive(Stage::ready, true);
  take_rows();
  scales_ = next_scales_;
  stage_ = Stage::idle;
  ++version_;
}

void ShardedStore::drive(Stage until, bool waits) {
  while (stage_ < until) {
    if (waits) work_.wait();
    if (!work_.done()) return;
    work_ = Work();
    finish_stage();
  }
}

void ShardedStore::finish_stage() {
  switch (stage_) {
    case Stage::entry_counts:
      exchange_words("sharing rows");
      break;
    case Stage::arrived:
      apply();
      send_sums(false);
      break;
    case Stage::means:
      take_sums(false);
      send_sums(true);
      break;
    case Stage::deviations:
      take_sums(true);
      collect_rows(false);
      exchange_counts("sizes of changed rows");
      break;
    case Stage::row_counts:
      exchange_words("changed rows");
      break;
    default:
      break;
  }
  stage_ = static_cast<Stage>(static_cast<int>(stage_) + 1);
}

/// Words that have arrived, of one publisher's ranks.
std::vector<std::int32_t> ShardedStore::posted_here(std::size_t publisher) const {
  std::vector<std::int32_t> out;
  if (is_restored_) return restored_[publisher];
  if (stage_ != Stage::arrived) return out;
  std::int64_t first = 0;
  for (std::size_t r = 0; r < receive_counts_.size(); ++r) {
    if (publishers_[r] == static_cast<std::int32_t>(publisher))
      out.insert(out.end(), received_.begin() + first, received_.begin() + first + receive_counts_[r]);
    first += receive_counts_[r];
  }
  return out;
}

void ShardedStore::apply() {
  for (std::size_t p = 0; p < shards_.size(); ++p) changed_[p] = shards_[p].table.apply(posted_here(p));
  is_restored_ = false;
  restored_.clear();
}

/// Buckets in rising order, of each publisher in turn: the number of rows (in the first pass) and the sums.
void ShardedStore::send_sums(bool of_squares) {
  const auto width = static_cast<std::size_t>(options_.width), each = width + (of_squares ? 0 : 1);
  const int ranks = comm_.size();
  const auto buckets = static_cast<std::size_t>(buckets_of(comm_.rank(), ranks));
  own_sums_.assign(tasks_.size() * buckets * each, 0.0);
  for (std::size_t p = 0; p < shards_.size(); ++p)
    shards_[p].table.sum_buckets(of_squares ? next_scales_[p].mean.data() : nullptr,
                                 [&](int bucket, std::int64_t count, std::span<const double> sums) {
                                   double* to = own_sums_.data() + (p * buckets + static_cast<std::size_t>(bucket / ranks)) * each;
                                   std::copy(sums.begin(), sums.end(), to);
                                   if (!of_squares) to[width] = static_cast<double>(count);
                                 });
  sum_counts_.clear();
  for (int r = 0; r < ranks; ++r)
    sum_counts_.push_back(static_cast<std::int64_t>(tasks_.size()) * buckets_of(r, ranks) * static_cast<std::int64_t>(each));
  all_sums_.resize(static_cast<std::size_t>(std::accumulate(sum_counts_.begin(), sum_counts_.end(), std::int64_t{0})));
  work_ = comm_.all_gather(buffer_of(std::span(own_sums_)), buffer_of(std::span(all_sums_)), sum_counts_,
                           of_squares ? "deviations of vectors" : "means of vectors");
}

/// Over buckets in their order, whoever owns them.
void ShardedStore::take_sums(bool of_squares) {
  const auto width = static_cast<std::size_t>(options_.width), each = width + (of_squares ? 0 : 1);
  const int ranks = comm_.size();
  std::vector<std::int64_t> first(sum_counts_.size(), 0);  // by owner
  std::partial_sum(sum_counts_.begin(), sum_counts_.end() - 1, first.begin() + 1);
  for (std::size_t p = 0; p < tasks_.size(); ++p) {
    std::vector<double> total(each, 0.0);
    for (int bucket = 0; bucket < kBuckets; ++bucket) {
      const int owner = bucket % ranks;
      const double* from = all_sums_.data() + first[static_cast<std::size_t>(owner)] +
                           (static_cast<std::int64_t>(p) * buckets_of(owner, ranks) + bucket / ranks) * static_cast<std::int64_t>(each);
      for (std::size_t j = 0; j < each; ++j) total[j] += from[j];
    }
    if (!of_squares) counted_[p] = static_cast<std::int64_t>(total[width]);
    if (counted_[p] == 0) continue;
    std::vector<double>& into = of_squares ? next_scales_[p].deviation : next_scales_[p].mean;
    for (std::size_t j = 0; j < width; ++j) {
      const double mean = total[j] / static_cast<double>(counted_[p]);
      into[j] = of_squares ? std::sqrt(mean) : mean;
    }
  }
}

/// Rows for each rank that reads them, with their number among those that it reads here. all: also where nothing has changed.
void ShardedStore::collect_rows(bool all) {
  const auto width = static_cast<std::size_t>(options_.width), words = static_cast<std::size_t>(row_words(options_.wire, options_.width));
  std::vector<std::vector<bool>> is_changed;
  for (std::size_t p = 0; p < shards_.size(); ++p) {
    is_changed.emplace_back(static_cast<std::size_t>(shards_[p].table.keys()), all);
    for (const std::int32_t position : changed_[p]) is_changed[p][static_cast<std::size_t>(position)] = true;
  }
  sent_.clear(), send_counts_.clear();
  std::int64_t others = 0;
  for (std::size_t r = 0; r < wanted_by_.size(); ++r) {
    const std::size_t before = sent_.size();
    for (std::size_t i = 0; i < wanted_by_[r].size(); ++i) {
      const auto p = static_cast<std::size_t>(wanted_by_[r][i].publisher);
      const StoreTable& table = shards_[p].table;
      const std::int32_t position = table.newest_there(wanted_by_[r][i].position);
      const float* row = table.row(position);
      if (!row || !is_changed[p][static_cast<std::size_t>(position)]) continue;
      sent_.push_back(static_cast<std::int32_t>(i));
      sent_.resize(sent_.size() + words);
      encode_row(options_.wire, std::span(row, width), sent_.data() + sent_.size() - words);
      others += static_cast<int>(r) != comm_.rank();
    }
    send_counts_.push_back(static_cast<std::int64_t>(sent_.size() - before));
  }
  if (!all) formula_bytes_ += others * 4 * (1 + row_words(options_.wire, options_.width));
}

void ShardedStore::take_rows() {
  const auto width = static_cast<std::size_t>(options_.width), words = static_cast<std::size_t>(row_words(options_.wire, options_.width));
  const std::int32_t* at = received_.data();
  for (std::size_t r = 0; r < receive_counts_.size(); ++r)
    for (const std::int32_t* end = at + receive_counts_[r]; at < end; at += 1 + words) {
      const Wanted slot = slots_[r][static_cast<std::size_t>(at[0])];
      ShardView& view = views_[static_cast<std::size_t>(slot.publisher)];
      const auto place = static_cast<std::size_t>(slot.position);
      view.present[place] = 1;
      decode_row(options_.wire, at + 1, std::span(view.rows.data() + place * width, width));
    }
}

std::int64_t ShardedStore::bytes() const {
  std::size_t out = place_of_.size() * sizeof(Place);
  for (const Shard& shard : shards_) out += static_cast<std::size_t>(shard.table.bytes()) + shard.global.size() * sizeof shard.global[0];
  for (const ShardView& view : views_) out += view.rows.size() * sizeof view.rows[0] + view.present.size();
  for (const auto* lists : {&wanted_by_, &slots_})
    for (const std::vector<Wanted>& list : *lists) out += list.size() * sizeof list[0];
  return static_cast<std::int64_t>(out);
}

}  // namespace chorale
