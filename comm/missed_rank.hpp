// The error of a wait that ends without the rank it was for.
#pragma once
#include <string>

#include <chorale/core/base/error.hpp>

namespace chorale {

/// `rank` has died, or had not come by the deadline.
struct MissedRank : CommError {
  using CommError::CommError;
  std::string where;  // what `rank` did, as seen by the waiting one at that moment: "forward of layer '2' in step 17"; empty: not known
};

}  // namespace chorale
