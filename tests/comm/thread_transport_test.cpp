#include <catch2/catch.hpp>

#include <chorale/comm/backends/thread_transport.hpp>

namespace chorale {

TEST_CASE("a message goes to the receive that was posted first, also when a later one is tested first", "[comm]") {
  const auto boxes = std::make_shared<Mailboxes>();
  ThreadTransport sender(boxes, 0), receiver(boxes, 1);
  const std::byte first{1}, second{2};
  std::byte a{0}, b{0};
  const auto receive_a = receiver.receive(0, 7, {&a, 1});
  const auto receive_b = receiver.receive(0, 7, {&b, 1});
  CHECK(sender.send(1, 7, {&first, 1})->test());
  CHECK_FALSE(receive_b->test());
  CHECK(receive_a->test());
  CHECK(a == first);
  CHECK(sender.send(1, 7, {&second, 1})->test());
  CHECK(receive_b->test());
  CHECK(b == second);
}

}  // namespace chorale
