#include <chorale/comm/communicator.hpp>

namespace chorale {

Work::~Work() {
  if (!state_) return;
  try {
    state_->wait();
  } catch (...) {  // the caller dropped it; the failure shows at the next collective
  }
}

}  // namespace chorale
