// How a run is asked to end before its time.
#pragma once

namespace chorale {

/// The greatest that any rank has heard counts for all. Both leave a checkpoint of the step that they end with.
enum class Stop : int {
  none,
  requeue,    // the job's time is up: the run is to go on later, by itself
  interrupt,  // somebody wants it to end
};

}  // namespace chorale
