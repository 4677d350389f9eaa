#include <chorale/train/collab/shard_parts.hpp>

#include <cstring>
#include <numeric>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

template <class T>
void append_values(std::vector<std::byte>& to, const std::vector<T>& values) {
  const std::uint64_t count = values.size();
  const std::size_t at = to.size();
  to.resize(at + sizeof count + values.size() * sizeof(T));
  std::memcpy(to.data() + at, &count, sizeof count);
  if (count > 0) std::memcpy(to.data() + at + sizeof count, values.data(), values.size() * sizeof(T));
}

template <class T>
std::vector<T> next_values(const std::vector<std::byte>& bytes, std::size_t& at) {
  std::uint64_t count = 0;
  if (bytes.size() - at < sizeof count) throw InternalError("a message about shards is cut");
  std::memcpy(&count, bytes.data() + at, sizeof count);
  at += sizeof count;
  if ((bytes.size() - at) / sizeof(T) < count) throw InternalError("a message about shards is cut");
  std::vector<T> out(count);
  if (count > 0) std::memcpy(out.data(), bytes.data() + at, count * sizeof(T));
  at += count * sizeof(T);
  return out;
}

template void append_values(std::vector<std::byte>&, const std::vector<std::byte>&);
template std::vector<std::byte> next_values(const std::vector<std::byte>&, std::size_t&);
template void append_values(std::vector<std::byte>&, const std::vector<float>&);
template std::vector<float> next_values(const std::vector<std::byte>&, std::size_t&);
template void append_values(std::vector<std::byte>&, const std::vector<std::uint8_t>&);
template std::vector<std::uint8_t> next_values(const std::vector<std::byte>&, std::size_t&);
template void append_values(std::vector<std::byte>&, const std::vector<std::int32_t>&);
template std::vector<std::int32_t> next_values(const std::vector<std::byte>&, std::size_t&);
template void append_values(std::vector<std::byte>&, const std::vector<std::int64_t>&);
template std::vector<std::int64_t> next_values(const std::vector<std::byte>&, std::size_t&);
template void append_values(std::vector<std::byte>&, const std::vector<std::uint64_t>&);
template std::vector<std::uint64_t> next_values(const std::vector<std::byte>&, std::size_t&);

void ShardKeys::add(const EntityKeys& from, std::size_t key) {
  ids.push_back(from.ids[key]);
  if (!from.periods.empty()) periods.push_back(from.periods[key]);
}

void ShardKeys::add(const Publisher& from, std::size_t key) {
  add(from.keys(), key);
  global.push_back(static_cast<std::int32_t>(key));
  trained.push_back(key < from.trained.size() ? from.trained[key] : 0);
}

std::vector<std::byte> ShardKeys::packed() const {
  std::vector<std::byte> out;
  append_values(out, std::vector<std::int64_t>{all_keys, scale_before});
  append_values(out, ids), append_values(out, periods), append_values(out, global), append_values(out, trained);
  return out;
}

ShardKeys ShardKeys::unpacked(const std::vector<std::byte>& bytes) {
  std::size_t at = 0;
  const std::vector<std::int64_t> head = next_values<std::int64_t>(bytes, at);
  ShardKeys out{
      .all_keys = head.at(0), .scale_before = static_cast<std::int32_t>(head.at(1)), .ids = {}, .periods = {}, .global = {}, .trained = {}};
  out.ids = next_values<EntityId>(bytes, at);
  out.periods = next_values<std::int32_t>(bytes, at), out.global = next_values<std::int32_t>(bytes, at);
  out.trained = next_values<std::uint8_t>(bytes, at);
  return out;
}

Shard::Shard(ShardKeys keys, const std::string& task, const StoreOptions& options)
    : table({task, std::move(keys.ids), std::move(keys.periods), keys.scale_before, std::move(keys.trained)}, options),
      global(std::move(keys.global)),
      all_keys(keys.all_keys) {}

std::vector<std::vector<std::byte>> all_to_all_bytes(Communicator& comm, const std::vector<std::vector<std::byte>>& parts, Label label) {
  std::vector<std::int64_t> send, receive(parts.size());
  std::vector<std::uint8_t> sent;
  for (const std::vector<std::byte>& part : parts) {
    send.push_back(static_cast<std::int64_t>(part.size()));
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(part.data());
    sent.insert(sent.end(), bytes, bytes + part.size());
  }
  const std::vector<std::int64_t> one(parts.size(), 1);
  comm.all_to_all(buffer_of(std::span(send)), one, buffer_of(std::span(receive)), one, label).wait();
  std::vector<std::uint8_t> received(static_cast<std::size_t>(std::accumulate(receive.begin(), receive.end(), std::int64_t{0})));
  comm.all_to_all(buffer_of(std::span(sent)), send, buffer_of(std::span(received)), receive, label).wait();
  std::vector<std::vector<std::byte>> out;
  const auto* at = reinterpret_cast<const std::byte*>(received.data());
  for (const std::int64_t count : receive) out.emplace_back(at, at + count), at += count;
  return out;
}

}  // namespace chorale
