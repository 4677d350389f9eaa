// Which keys a rank owns in a sharded store, and which it reads: told once, at the start.
#include <algorithm>
#include <utility>

#include <chorale/core/base/error.hpp>
#include <chorale/train/collab/sharded_store.hpp>

namespace chorale {

/// Each publisher's first rank sends every owner its keys.
void ShardedStore::deal_out(int number, const Publisher& own) {
  const int ranks = comm_.size();
  publishers_.resize(static_cast<std::size_t>(ranks));
  std::int32_t mine = number;
  const std::vector<std::int64_t> one(publishers_.size(), 1);
  comm_.all_gather(buffer_of(std::span(&mine, 1)), buffer_of(std::span(publishers_)), one, "publishers of ranks").wait();
  const bool tells = number >= 0 && std::find(publishers_.begin(), publishers_.end(), number) == publishers_.begin() + comm_.rank();
  std::vector<ShardKeys> parts(static_cast<std::size_t>(ranks));
  std::vector<std::int32_t> next(parts.size(), 0);
  for (std::size_t i = 0; number >= 0 && i < own.ids.size(); ++i) {
    const auto owner = static_cast<std::size_t>(owner_of(own.ids[i], ranks));
    place_of_.push_back({static_cast<std::int32_t>(owner), next[owner]++});
    if (tells) parts[owner].add(own, i);
  }
  std::vector<std::vector<std::byte>> messages;
  for (ShardKeys& part : parts) {
    part.all_keys = static_cast<std::int64_t>(own.ids.size()), part.scale_before = own.scale_before;
    messages.push_back(tells ? part.packed() : std::vector<std::byte>());
  }
  const auto received = all_to_all_bytes(comm_, messages, "keys of shards");
  for (std::size_t p = 0; p < tasks_.size(); ++p) {
    const auto from =
        static_cast<std::size_t>(std::find(publishers_.begin(), publishers_.end(), static_cast<std::int32_t>(p)) - publishers_.begin());
    if (from == publishers_.size()) throw InternalError("a publisher without ranks");
    shards_.emplace_back(ShardKeys::unpacked(received[from]), tasks_[p], options_);
  }
}

std::vector<KeyPlaces> ShardedStore::locate(const std::vector<WantedKeys>& wanted) {
  const int ranks = comm_.size();
  // Requests of each owner: publisher and number of keys, then keys; it answers with a byte for each.
  std::vector<std::vector<std::byte>> questions(static_cast<std::size_t>(ranks));
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> asked(questions.size());  // by owner: request and key
  for (std::size_t w = 0; w < wanted.size(); ++w) {
    std::vector<ShardKeys> parts(questions.size());
    for (std::size_t i = 0; i < wanted[w].keys.ids.size(); ++i) {
      const auto owner = static_cast<std::size_t>(owner_of(wanted[w].keys.ids[i], ranks));
      parts[owner].add(wanted[w].keys, i);
      asked[owner].emplace_back(w, i);
    }
    for (std::size_t r = 0; r < parts.size(); ++r) {
      parts[r].all_keys = wanted[w].publisher;
      append_values(questions[r], parts[r].packed());
    }
  }
  const auto heard = all_to_all_bytes(comm_, questions, "wanted rows");
  std::vector<std::vector<std::byte>> answers(heard.size());
  for (std::size_t r = 0; r < heard.size(); ++r)
    for (std::size_t at = 0; at < heard[r].size();) {
      const ShardKeys keys = ShardKeys::unpacked(next_values<std::byte>(heard[r], at));
      const KeyPlaces places = places_among(keys.keys(), shards_[static_cast<std::size_t>(keys.all_keys)].table.publisher());
      for (std::size_t i = 0; i < places.positions.size(); ++i) {
        const bool is_there = places.positions[i] >= 0;
        answers[r].push_back(static_cast<std::byte>((is_there ? 1 : 0) | (places.trained[i] ? 2 : 0)));
        if (is_there) wanted_by_[r].push_back({static_cast<std::int32_t>(keys.all_keys), places.positions[i]});
      }
    }
  const auto answered = all_to_all_bytes(comm_, answers, "places of rows");
  std::vector<KeyPlaces> out(wanted.size());
  for (std::size_t w = 0; w < wanted.size(); ++w)
    out[w].positions.assign(wanted[w].keys.ids.size(), -1), out[w].trained.resize(wanted[w].keys.ids.size());
  for (std::size_t r = 0; r < answered.size(); ++r)
    for (std::size_t i = 0; i < asked[r].size(); ++i) {
      const auto [w, key] = asked[r][i];
      const auto bits = static_cast<unsigned>(answered[r][i]);
      out[w].trained[key] = (bits & 2u) != 0;
      if ((bits & 1u) == 0) continue;
      ShardView& view = views_[static_cast<std::size_t>(wanted[w].publisher)];
      out[w].positions[key] = static_cast<std::int32_t>(view.present.size());
      slots_[r].push_back({wanted[w].publisher, out[w].positions[key]});
      view.present.push_back(0);
    }
  for (ShardView& view : views_) view.rows.resize(view.present.size() * static_cast<std::size_t>(options_.width));
  return out;
}

}  // namespace chorale
