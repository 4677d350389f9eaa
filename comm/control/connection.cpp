#include <chorale/comm/control/connection.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>
#include <utility>

#include <chorale/core/base/error.hpp>

namespace chorale {

namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kMostWaiting = 1 << 20;  // a peer that takes nothing must not fill our memory
constexpr int kMostReads = 16;                 // of a turn: nor one that sends without end, or hold us for ever

void set(int socket, int level, int option, int value) { ::setsockopt(socket, level, option, &value, sizeof value); }

/// Messages are small and urgent, and a peer whose machine is gone must be noticed.
void prepare(int socket) {
  ::fcntl(socket, F_SETFL, ::fcntl(socket, F_GETFL) | O_NONBLOCK);
  set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set(socket, IPPROTO_TCP, TCP_KEEPIDLE, 5);
  set(socket, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set(socket, IPPROTO_TCP, TCP_KEEPCNT, 6);
}

bool is_later(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

ControlConnection::ControlConnection(Descriptor socket) : socket_(std::move(socket)) { prepare(socket_.number()); }

void ControlConnection::send(const ControlMessage& message) {
  const std::vector<std::byte> bytes = encoded(message);
  if (outgoing_.size() + bytes.size() <= kMostWaiting) outgoing_.insert(outgoing_.end(), bytes.begin(), bytes.end());
}

bool ControlConnection::write_some() {
  while (!outgoing_.empty()) {
    const ssize_t n = ::send(socket_.number(), outgoing_.data(), outgoing_.size(), MSG_NOSIGNAL);
    if (n < 0) return is_later(errno);
    outgoing_.erase(outgoing_.begin(), outgoing_.begin() + n);
  }
  return true;
}

bool ControlConnection::read_some() {
  std::array<std::byte, 4096> buffer;
  for (int i = 0; i < kMostReads; ++i) {
    const ssize_t n = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (n < 0) return is_later(errno);
    if (n == 0) return false;
    reader_.take(std::span(buffer).first(static_cast<std::size_t>(n)));
    try {
      while (auto message = reader_.next()) incoming_.push_back(std::move(*message));
    } catch (const DataError&) {
      return false;
    }
  }
  return true;
}

bool ControlConnection::pump() {
  const bool reads = read_some();  // first: a peer that has left may have said why
  return write_some() && reads;
}

std::vector<ControlMessage> ControlConnection::take() { return std::exchange(incoming_, {}); }

void ControlConnection::flush(std::chrono::milliseconds limit) {
  const Clock::time_point until = Clock::now() + limit;
  while (write_some() && !outgoing_.empty() && Clock::now() < until) {
    pollfd waiting = {socket_.number(), POLLOUT, 0};
    ::poll(&waiting, 1, 10);
  }
}

Descriptor listen_at(const std::string& address, std::uint16_t& port) {
  Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_in at = {};
  at.sin_family = AF_INET, at.sin_port = htons(port);
  socklen_t length = sizeof at;
  if (!socket || ::inet_pton(AF_INET, address.c_str(), &at.sin_addr) != 1 ||
      ::bind(socket.number(), reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0 || ::listen(socket.number(), 1024) != 0 ||
      ::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&at), &length) != 0)
    throw IoError("[control] cannot listen on " + address + ":" + std::to_string(port) + ": " + std::strerror(errno));
  port = ntohs(at.sin_port);
  return socket;
}

Descriptor accept_from(const Descriptor& listener) { return Descriptor(::accept4(listener.number(), nullptr, nullptr, SOCK_CLOEXEC)); }

namespace {

/// Empty, with the reason in `error`, when this one address does not answer in time.
Descriptor try_address(const addrinfo& at, Clock::time_point until, int& error) {
  Descriptor socket(::socket(at.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  error = socket ? 0 : errno;
  if (socket && ::connect(socket.number(), at.ai_addr, at.ai_addrlen) != 0) error = errno;
  if (error == EINPROGRESS) {
    pollfd waiting = {socket.number(), POLLOUT, 0};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
    socklen_t length = sizeof error;
    if (::poll(&waiting, 1, static_cast<int>(std::max<std::int64_t>(1, left))) != 1)
      error = ETIMEDOUT;
    else
      ::getsockopt(socket.number(), SOL_SOCKET, SO_ERROR, &error, &length);
  }
  return error == 0 ? std::move(socket) : Descriptor();
}

}  // namespace

Descriptor connect_to(const std::string& host, std::uint16_t port, std::chrono::milliseconds limit,
                      const std::function<bool(int error)>& is_hopeless) {
  const Clock::time_point begun = Clock::now(), until = begun + limit;
  std::string why;
  do {
    int error = 0;
    addrinfo hints = {}, *found = nullptr;
    hints.ai_family = AF_INET, hints.ai_socktype = SOCK_STREAM;
    if (const int trouble = ::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found); trouble != 0) {
      why = ::gai_strerror(trouble);
    } else {
      const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, ::freeaddrinfo);
      for (const addrinfo* at = found; at; at = at->ai_next)
        if (Descriptor socket = try_address(*at, until, error)) return socket;
      why = std::strerror(error);
    }
    if (is_hopeless && is_hopeless(error)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  } while (Clock::now() < until);
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - begun);
  throw CommError(-1, "control", 0,
                  "[control] " + host + ":" + std::to_string(port) + " does not answer within " + std::to_string(waited.count()) +
                      " ms: " + why + "; ranks need a TCP connection to where the run was started");
}

std::string host_name() {
  char name[256] = {};
  ::gethostname(name, sizeof name - 1);
  return name;
}

}  // namespace chorale
