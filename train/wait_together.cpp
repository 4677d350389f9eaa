#include <chorale/train/wait_together.hpp>

#include <algorithm>

namespace chorale {

void wait_together(Communicator& comm, const std::function<bool(std::chrono::milliseconds limit)>& works, Label label) {
  for (std::chrono::milliseconds pause(1);; pause = std::min(2 * pause, std::chrono::milliseconds(50))) {
    std::int32_t busy = works(pause) ? 1 : 0;
    comm.all_reduce(buffer_of(std::span(&busy, 1)), Reduce::max, label).wait();
    if (!busy) return;
  }
}

}  // namespace chorale
