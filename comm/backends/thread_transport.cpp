#include <chorale/comm/backends/thread_transport.hpp>

#include <algorithm>
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {
namespace {

class Sent final : public Transfer {
 public:
  bool test() override { return true; }
};

class Awaited final : public Transfer {
 public:
  Awaited(Mailboxes& boxes, Mailboxes::Address address, std::span<std::byte> bytes)
      : boxes_(boxes), address_(address), turn_(boxes.queue(address)), bytes_(bytes) {}
  bool test() override { return done_ || (done_ = boxes_.take(address_, turn_, bytes_)); }

 private:
  Mailboxes& boxes_;
  Mailboxes::Address address_;
  std::uint64_t turn_;
  std::span<std::byte> bytes_;
  bool done_ = false;
};

}  // namespace

void Mailboxes::put(Address address, std::span<const std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  if (spare_.empty()) spare_.emplace_back();
  spare_.front().assign(bytes.begin(), bytes.end());
  Messages& messages = boxes_[address].messages;
  messages.splice(messages.end(), spare_, spare_.begin());
}

std::uint64_t Mailboxes::queue(Address address) {
  const std::lock_guard lock(mutex_);
  return boxes_[address].queued++;
}

bool Mailboxes::take(Address address, std::uint64_t turn, std::span<std::byte> bytes) {
  const std::lock_guard lock(mutex_);
  Box& box = boxes_[address];
  if (box.served != turn || box.messages.empty()) return false;
  spare_.splice(spare_.begin(), box.messages, box.messages.begin());
  ++box.served;
  const std::vector<std::byte>& message = spare_.front();
  if (message.size() != bytes.size())
    throw InternalError("a message of " + std::to_string(message.size()) + " bytes where " + std::to_string(bytes.size()) +
                        " were awaited");
  std::copy(message.begin(), message.end(), bytes.begin());
  return true;
}

std::unique_ptr<Transfer> ThreadTransport::send(int to, int tag, std::span<const std::byte> bytes) {
  boxes_->put({rank_, to, tag}, bytes);
  return std::unique_ptr<Transfer>(new (*pool_) Sent);
}

std::unique_ptr<Transfer> ThreadTransport::receive(int from, int tag, std::span<std::byte> bytes) {
  return std::unique_ptr<Transfer>(new (*pool_) Awaited(*boxes_, Mailboxes::Address{from, rank_, tag}, bytes));
}

}  // namespace chorale
