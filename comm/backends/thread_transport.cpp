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
  Awaited(Mailboxes& boxes, Mailboxes::Address address, std::span<std::byte> bytes) : boxes_(boxes), address_(address), bytes_(bytes) {}
  bool test() override { return done_ || (done_ = boxes_.take(address_, bytes_)); }

 private:
  Mailboxes& boxes_;
  Mailboxes::Address address_;
  std::span<std::byte> bytes_;
  bool done_ = false;
};

}  // namespace

void Mailboxes::put(Address address, std::span<const std::byte> bytes) {
  std::vector<std::byte> message(bytes.begin(), bytes.end());
  const std::lock_guard lock(mutex_);
  boxes_[address].push_back(std::move(message));
}

bool Mailboxes::take(Address address, std::span<std::byte> bytes) {
  std::vector<std::byte> message;
  {
    const std::lock_guard lock(mutex_);
    auto box = boxes_.find(address);
    if (box == boxes_.end() || box->second.empty()) return false;
    message = std::move(box->second.front());
    box->second.pop_front();
  }
  if (message.size() != bytes.size())
    throw InternalError("a message of " + std::to_string(message.size()) + " bytes where " + std::to_string(bytes.size()) +
                        " were awaited");
  std::copy(message.begin(), message.end(), bytes.begin());
  return true;
}

std::unique_ptr<Transfer> ThreadTransport::send(int to, int tag, std::span<const std::byte> bytes) {
  boxes_->put({rank_, to, tag}, bytes);
  return std::make_unique<Sent>();
}

std::unique_ptr<Transfer> ThreadTransport::receive(int from, int tag, std::span<std::byte> bytes) {
  return std::make_unique<Awaited>(*boxes_, Mailboxes::Address{from, rank_, tag}, bytes);
}

}  // namespace chorale
