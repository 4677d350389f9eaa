#include <chorale/train/collab/uncertainty_weight.hpp>

#include <algorithm>
#include <cmath>

namespace chorale {

double UncertaintyWeight::weight() const { return std::exp(-s_); }

void UncertaintyWeight::step(double loss) { s_ -= std::clamp(lr_ * (0.5 - weight() * loss), -1.0, 1.0); }

}  // namespace chorale
