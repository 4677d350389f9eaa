// The device of one rank among others: all take the lowest common instruction set, so that a sample gives the same bits wherever it lies.
#pragma once
#include <memory>

#include <chorale/comm/communicator.hpp>
#include <chorale/core/device/device.hpp>
#include <chorale/train/settings.hpp>

namespace chorale {

/// Collective. The best instruction set that every rank's processor has and every rank's options.isa allows. OpenBLAS, which cannot be held
/// to one, is used only where all processors would run the same of its kernels. Throws UsageError for an isa that this processor lacks.
std::unique_ptr<Device> make_common_device(Communicator& comm, const ParallelOptions& options);

}  // namespace chorale
