// The stream of the control channel. The messages in it do not depend on how it is cut.
#include <array>
#include <cstring>
#include <vector>

#include <chorale/comm/control/message.hpp>
#include <chorale/core/base/error.hpp>

#include "engine.hpp"

namespace chorale::fuzz {

namespace {

using namespace std::string_view_literals;
constexpr std::array<std::string_view, 6> kWords = {"\x74\0\0\0"sv, "\x78\0\0\0"sv,       "\x01\0"sv,
                                                    "\x01\x03"sv,   "\xff\xff\xff\xff"sv, "all_reduce 'x'"sv};

std::string read(std::string_view input, std::size_t step, std::vector<ControlMessage>& messages) {
  ControlReader reader;
  return answer_of<DataError>([&] {
    for (std::size_t at = 0; at < input.size(); at += step) {
      reader.take(std::as_bytes(std::span(input.substr(at, step))));
      while (auto message = reader.next()) messages.push_back(std::move(*message));
    }
  });
}

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  std::vector<ControlMessage> messages, cut;
  const std::string answer = read(input, 4096, messages);
  require(read(input, 13, cut) == answer && cut.size() == messages.size(), "the cut of the stream changes what is read");
  for (const ControlMessage& message : messages) {
    require(message.text.size() <= ControlMessage::kMostText, "a text is too long");
    require(name(message.sighting.activity) != "unknown", "an activity that is none is accepted");
    require(message.sighting.text().size() < 200, "a place is too long");
    const std::vector<std::byte> bytes = encoded(message);
    std::vector<ControlMessage> again;
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    require(read(text, 4096, again) == "accepted" && again.size() == 1 && encoded(again[0]) == bytes, "a message is read as another");
  }
  return answer;
}

}  // namespace chorale::fuzz
