// The two forms of the strategy `distill`.
#pragma once
#include <memory>

#include <chorale/train/collab/strategy.hpp>

namespace chorale {

/// Peers tell their predictions for entities that all tasks know.
std::unique_ptr<Strategy> make_distill(const StrategySetup& setup);
/// Peers send their weights, and each task asks these models about its own rows.
std::unique_ptr<Strategy> make_codistill(const StrategySetup& setup);

}  // namespace chorale
