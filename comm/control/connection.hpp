// One TCP connection of the control channel: framed, never blocking, bounded both ways.
#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <chorale/comm/control/message.hpp>

namespace chorale {

/// Closes with its owner.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  int number() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

/// Of a listener: connections that have not said hello, and how long they have for it. One too many ends the oldest of them: who stays
/// silent keeps nobody out. A rank whose leader is late waits as long.
inline constexpr std::size_t kMostStrangers = 64;
inline constexpr auto kHelloWithin = std::chrono::seconds(30);
/// That a listener takes in one turn: a crowd of strangers must not hold it.
inline constexpr int kMostComing = 256;

/// One thread.
class ControlConnection {
 public:
  explicit ControlConnection(Descriptor socket);
  int descriptor() const { return socket_.number(); }
  void send(const ControlMessage& message);
  /// Bytes wait for the peer to take them.
  bool wants_to_write() const { return !outgoing_.empty(); }
  /// Writes and reads what goes without waiting. False when the peer has closed, the connection is broken, or it sent what no rank sends.
  bool pump();
  /// What has come, in order.
  std::vector<ControlMessage> take();
  /// Writes out what is left, for at most `limit`.
  void flush(std::chrono::milliseconds limit);

 private:
  bool write_some();
  bool read_some();
  Descriptor socket_;
  std::vector<std::byte> outgoing_;
  ControlReader reader_;
  std::vector<ControlMessage> incoming_;
};

/// Listens on `address` ("0.0.0.0", "127.0.0.1"), port 0 for any. Throws IoError.
Descriptor listen_at(const std::string& address, std::uint16_t& port);
/// An accepted connection, or none when nobody waits.
Descriptor accept_from(const Descriptor& listener);
/// Throws CommError when it is not there within `limit`, or earlier where is_hopeless says so, which is asked after each failed attempt
/// with its errno. Any thread.
Descriptor connect_to(const std::string& host, std::uint16_t port, std::chrono::milliseconds limit,
                      const std::function<bool(int error)>& is_hopeless = {});
/// As uname says.
std::string host_name();

}  // namespace chorale
