// send and recv: a header that says what comes, then the data; through a ring inside the node, by the transport between nodes.
#include <algorithm>

#include <chorale/core/base/error.hpp>
#include <chorale/comm/node_communicator.hpp>

namespace chorale {
namespace {

void check_message(const Announcement& mine, int me, const Announcement& theirs, int sender) {
  if (mine.dtype == theirs.dtype && mine.elements == theirs.elements && mine.sequence == theirs.sequence &&
      std::string_view(mine.label) == theirs.label)
    return;
  throw CommError(sender, mine.title(), mine.sequence,
                  mine.heading() + "rank " + std::to_string(me) + " awaits " + mine.text() + " from rank " + std::to_string(sender) +
                      ", which sends " + theirs.text() + "; labels, sizes and types must agree");
}

}  // namespace

Task NodeCommunicator::send_in_node(Operation& op, Buffer data, int to) {
  Ring& ring = page_.ring(local_, to - here_.first);
  op.awaits = Operation::Awaits::peer;
  op.awaited = to;
  std::span<const std::byte> header = std::as_bytes(std::span(&op.announcement, 1)), body(data.as<const std::byte>(), data.bytes());
  while (true) {
    const std::size_t count = ring.write(header, body), of_header = std::min(count, header.size());
    header = header.subspan(of_header);
    body = body.subspan(count - of_header);
    if (count > 0) engine_.moved(), page_.meeting().tell();
    if (header.empty() && body.empty()) break;
    co_await kPause;
  }
  terms_->bytes_sent += data.bytes();
}

Task NodeCommunicator::recv_in_node(Operation& op, Buffer data, int from) {
  Ring& ring = page_.ring(from - here_.first, local_);
  op.awaits = Operation::Awaits::peer;
  op.awaited = from;
  Announcement theirs;
  std::span<std::byte> header = std::as_writable_bytes(std::span(&theirs, 1)), body(data.as<std::byte>(), data.bytes());
  for (bool checked = false; true;) {
    const std::size_t count = ring.read(header, body), of_header = std::min(count, header.size());
    header = header.subspan(of_header);
    body = body.subspan(count - of_header);
    if (count > 0) engine_.moved(), page_.meeting().tell();
    if (header.empty() && !checked) check_message(op.announcement, rank(), theirs, from), checked = true;
    if (checked && body.empty()) break;
    co_await kPause;
  }
}

Task NodeCommunicator::send_between(Operation& op, Buffer data, int to) {
  const int root_rank = members_.root_ranks[static_cast<std::size_t>(to)];
  op.awaits = Operation::Awaits::peer;
  op.awaited = to;
  const auto header = world_->transport->send(root_rank, tag_ + 1, std::as_bytes(std::span(&op.announcement, 1)));
  while (!header->test()) co_await kPause;
  terms_->bytes_sent += data.bytes();
  if (data.elements == 0) co_return;
  const auto body = world_->transport->send(root_rank, tag_ + 1, {data.as<const std::byte>(), data.bytes()});
  while (!body->test()) co_await kPause;
}

Task NodeCommunicator::recv_between(Operation& op, Buffer data, int from) {
  const int root_rank = members_.root_ranks[static_cast<std::size_t>(from)];
  op.awaits = Operation::Awaits::peer;
  op.awaited = from;
  Announcement theirs;
  const auto header = world_->transport->receive(root_rank, tag_ + 1, std::as_writable_bytes(std::span(&theirs, 1)));
  while (!header->test()) co_await kPause;
  engine_.moved();
  check_message(op.announcement, rank(), theirs, from);
  if (data.elements == 0) co_return;
  const auto body = world_->transport->receive(root_rank, tag_ + 1, {data.as<std::byte>(), data.bytes()});
  while (!body->test()) co_await kPause;
}

}  // namespace chorale
