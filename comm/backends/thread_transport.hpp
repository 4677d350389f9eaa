// Messages between simulated nodes of one process: mailboxes that copy. Any thread.
#pragma once
#include <cstdint>
#include <list>
#include <map>
#include <mutex>
#include <tuple>
#include <vector>

#include <chorale/comm/transport.hpp>

namespace chorale {

/// All mailboxes of one world of threads.
class Mailboxes {
 public:
  using Address = std::tuple<int, int, int>;  // from, to, tag
  void put(Address address, std::span<const std::byte> bytes);
  /// A place in the queue of those who receive: messages go to receives in the order in which these were posted.
  std::uint64_t queue(Address address);
  /// True when the message of that turn was there; it must have the length that is asked for.
  bool take(Address address, std::uint64_t turn, std::span<std::byte> bytes);

 private:
  using Messages = std::list<std::vector<std::byte>>;
  struct Box {
    Messages messages;
    std::uint64_t queued = 0, served = 0;
  };
  std::mutex mutex_;
  std::map<Address, Box> boxes_;
  Messages spare_;  // for later messages
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(std::shared_ptr<Mailboxes> boxes, int rank) : boxes_(std::move(boxes)), rank_(rank) {}
  std::unique_ptr<Transfer> send(int to, int tag, std::span<const std::byte> bytes) override;
  std::unique_ptr<Transfer> receive(int from, int tag, std::span<std::byte> bytes) override;
  void nudge() override {}

 private:
  std::shared_ptr<Mailboxes> boxes_;
  int rank_;
  BlockPool::Owner pool_ = BlockPool::make();
};

}  // namespace chorale
