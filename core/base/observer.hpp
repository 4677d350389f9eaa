// Who looks on while a model works: hears in passing which layer it is at, so that a rank that does not come can be named with its place.
// Where nobody looks, a layer costs the test of a pointer.
#pragma once
#include <string_view>

namespace chorale {

/// Called on the thread that computes. May throw: then the pass ends there.
class Observer {
 public:
  virtual ~Observer() = default;
  /// The pass has come to this layer; the name lives as long as the layer.
  virtual void forward(std::string_view layer) = 0;
  virtual void backward(std::string_view layer) = 0;
};

}  // namespace chorale
