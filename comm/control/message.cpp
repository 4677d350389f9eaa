#include <chorale/comm/control/message.hpp>

#include <algorithm>
#include <cstring>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

struct Header {
  std::uint32_t bytes;  // of all that follows it
  std::uint8_t version, kind;
  std::uint16_t port;
  std::int32_t rank, code;
  std::int64_t number;
  std::int64_t step;
  std::uint64_t sequence, beat;
  std::uint16_t text_bytes;
  std::uint8_t activity, is_whole;
  char what[sizeof(Sighting::what)];
  char unused[4];
};
static_assert(sizeof(Header) == 120);
constexpr std::uint8_t kVersion = 1;
constexpr std::size_t kAfterLength = sizeof(Header) - sizeof(Header::bytes);

}  // namespace

std::vector<std::byte> encoded(const ControlMessage& m) {
  const std::size_t text_bytes = std::min(m.text.size(), ControlMessage::kMostText);
  Header h = {};
  h.bytes = static_cast<std::uint32_t>(kAfterLength + text_bytes);
  h.version = kVersion, h.kind = static_cast<std::uint8_t>(m.kind), h.port = m.port;
  h.rank = m.rank, h.code = m.code, h.number = m.number;
  h.step = m.sighting.step, h.sequence = m.sighting.sequence, h.beat = m.sighting.beat;
  h.activity = static_cast<std::uint8_t>(m.sighting.activity), h.is_whole = m.sighting.is_whole;
  std::memcpy(h.what, m.sighting.what, sizeof h.what);
  h.text_bytes = static_cast<std::uint16_t>(text_bytes);
  std::vector<std::byte> out(sizeof h + text_bytes);
  std::memcpy(out.data(), &h, sizeof h);
  std::memcpy(out.data() + sizeof h, m.text.data(), text_bytes);
  return out;
}

void ControlReader::take(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }

std::optional<ControlMessage> ControlReader::next() {
  Header h;
  if (bytes_.size() < sizeof h.bytes) return std::nullopt;
  std::memcpy(&h.bytes, bytes_.data(), sizeof h.bytes);
  if (h.bytes < kAfterLength || h.bytes > kAfterLength + ControlMessage::kMostText)
    throw DataError("[control] a message of " + std::to_string(h.bytes) + " bytes is refused; who connects here is no rank of this run");
  if (bytes_.size() < sizeof h.bytes + h.bytes) return std::nullopt;
  std::memcpy(&h, bytes_.data(), sizeof h);
  if (h.version != kVersion || h.kind > static_cast<std::uint8_t>(ControlMessage::Kind::refuse) || h.text_bytes != h.bytes - kAfterLength ||
      h.activity > static_cast<std::uint8_t>(Activity::ending) || h.is_whole > 1)
    throw DataError("[control] a message of version " + std::to_string(h.version) + ", kind " + std::to_string(h.kind) +
                    " is refused; do all ranks run one build?");
  ControlMessage m;
  m.kind = static_cast<ControlMessage::Kind>(h.kind), m.port = h.port;
  m.rank = h.rank, m.code = h.code, m.number = h.number;
  m.sighting.step = h.step, m.sighting.sequence = h.sequence, m.sighting.beat = h.beat;
  m.sighting.activity = static_cast<Activity>(h.activity), m.sighting.is_whole = h.is_whole != 0;
  std::memcpy(m.sighting.what, h.what, sizeof h.what);
  m.sighting.what[sizeof h.what - 1] = '\0';
  m.text.assign(reinterpret_cast<const char*>(bytes_.data()) + sizeof h, h.text_bytes);
  bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(sizeof h.bytes + h.bytes));
  return m;
}

}  // namespace chorale
